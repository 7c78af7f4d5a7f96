"""One measurement in a process of its own: `python bench/measure.py WHO WHAT BASE_URL` prints a number.

WHO is rawchat, sdk, httpx, requests (with sseclient, as one writes it alone), or floor (http.client and json.loads:
what nobody who uses Python can do without);
WHAT is one of the functions below that are called measure_….
"""

# What only some need is imported where it is needed: memory and the time to import are measured too.
import contextlib
import json
import os
import pathlib
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

HERE = pathlib.Path(__file__).parent
TLS = HERE.parent / "tests" / "tls"

MESSAGES = [{"role": "user", "content": "Hi"}]
PATH = "/chat/completions"
CALLS, STREAMS, TOGETHER, AT_ONCE = 600, 4, 2000, 128
SHORT = 8  # tokens that the embedded model shall answer; the canned server does not care


def asker(who: str, url: str) -> tuple[Callable[[], Any], Callable[[], Iterator[Any]]]:
    """Two functions of a client: a plain call, and a streamed one that gives its chunks."""
    if who == "rawchat":
        import rawchat

        # What is in the environment counts for the others as well: the CA of the cold start.
        trusted = {"SSL_CERT_FILE": os.environ.get("SSL_CERT_FILE", "")}
        client = rawchat.Client(base_url=url, api_key="sk-1", model="m", environ=trusted)

        def stream() -> Iterator[Any]:
            chunks = client.stream_chat(MESSAGES, max_tokens=SHORT)
            yield from chunks
            assert chunks.reply.finish_reason

        return lambda: client.chat(MESSAGES).text, stream
    if who == "sdk":
        import openai

        sdk = openai.OpenAI(base_url=url, api_key="sk-1")
        return (
            lambda: (
                sdk.chat.completions.create(model="m", messages=MESSAGES).choices[0].message.content
            ),
            lambda: iter(
                sdk.chat.completions.create(
                    model="m", messages=MESSAGES, stream=True, max_tokens=SHORT
                )
            ),
        )
    body = {"model": "m", "messages": MESSAGES}
    headers = {"Authorization": "Bearer sk-1", "Content-Type": "application/json"}
    if who == "httpx":
        import httpx

        pool = httpx.Client()
        return lambda: pool.post(url + PATH, json=body, headers=headers).json(), lambda: iter(())
    if who == "requests":
        import requests
        from sseclient import SSEClient

        session = requests.Session()

        def events() -> Iterator[Any]:
            answer = session.post(
                url + PATH, json={**body, "stream": True}, headers=headers, stream=True
            )
            return (
                json.loads(event.data)
                for event in SSEClient(answer).events()
                if event.data != "[DONE]"
            )

        return lambda: session.post(url + PATH, json=body, headers=headers).json(), events
    import http.client

    connection = http.client.HTTPConnection(url.split("/")[2])

    def post(body: dict[str, Any]) -> http.client.HTTPResponse:
        connection.request("POST", "/v1" + PATH, json.dumps(body), headers)
        return connection.getresponse()

    return (
        lambda: json.loads(post(body).read()),
        lambda: (
            json.loads(line[6:])
            for line in post({**body, "stream": True})
            if line.startswith(b"data: {")
        ),
    )


def measure_plain(who: str, url: str) -> float:
    """CPU microseconds of a plain call."""
    plain, _ = asker(who, url)
    plain()
    start = time.process_time()
    for _ in range(CALLS):
        plain()
    return (time.process_time() - start) / CALLS * 1e6


def measure_send(who: str, url: str) -> float:
    """CPU microseconds from a call to the first byte that it gives to the socket of an open connection."""
    import socket

    plain, _ = asker(who, url)
    plain()
    first_bytes: list[float] = []

    def watched(plain_send: Callable[..., Any]) -> Callable[..., Any]:
        def send(*args: Any) -> Any:
            first_bytes.append(time.process_time())
            return plain_send(*args)

        return send

    socket.socket.send = watched(socket.socket.send)  # type: ignore[method-assign]
    socket.socket.sendall = watched(socket.socket.sendall)  # type: ignore[method-assign]
    spent = 0.0
    for _ in range(CALLS):
        first_bytes.clear()
        start = time.process_time()
        plain()
        spent += first_bytes[0] - start
    return spent / CALLS * 1e6


def measure_chunk(who: str, url: str) -> float:
    """CPU microseconds of a streamed chunk; rawchat's are merged into the reply as well."""
    _, stream = asker(who, url)
    count = sum(1 for _ in stream())
    start = time.process_time()
    for _ in range(STREAMS):
        assert sum(1 for _ in stream()) == count > 1
    return (time.process_time() - start) / STREAMS / count * 1e6


def measure_memory(who: str, url: str) -> float:
    """Peak memory of the process in MiB, after a plain call and a stream."""
    plain, stream = asker(who, url)
    plain()
    assert sum(1 for _ in stream()) > 1
    return peak()


def measure_beyond(who: str, url: str) -> float:
    """The same beyond what Python itself takes."""
    before = peak()
    return measure_memory(who, url) - before


def peak() -> float:
    """The most memory that this process has had so far, in MiB.

    Linux counts what the process that started this one had into ru_maxrss, but not into VmHWM.
    """
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_import(who: str, url: str) -> float:
    """CPU milliseconds to import the library and make a client, without Python's own start."""
    start = time.process_time()
    asker(who, url)
    return (time.process_time() - start) * 1e3


def measure_process(who: str, url: str) -> float:
    """Milliseconds of a whole process that asks once."""
    import subprocess

    start = time.perf_counter()
    subprocess.run([sys.executable, __file__, who, "once", url], check=True)
    return (time.perf_counter() - start) * 1e3


def measure_cold(who: str, url: str) -> float:
    """Milliseconds of a whole process that makes one call over TLS, as a function-as-a-service does at its first event.

    The median of five, once the bytecode is there.
    """
    import statistics
    import subprocess

    trusted = str(TLS / "ca.pem")
    environ = {**os.environ, "SSL_CERT_FILE": trusted, "REQUESTS_CA_BUNDLE": trusted}

    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, __file__, who, "once", url], check=True, env=environ)
        return (time.perf_counter() - start) * 1e3

    once()
    return statistics.median(once() for _ in range(5))


def measure_size(who: str, url: str) -> float:
    """MiB of what is installed: the package and all that it depends on, without Python and without bytecode."""
    import re
    from importlib.metadata import PackageNotFoundError, distribution

    names = {
        "rawchat": ["rawchat"],
        "sdk": ["openai"],
        "requests": ["requests", "sseclient-py"],
    }[who]
    seen: set[str] = set()
    size = 0
    while names:
        name = re.sub(r"[-_.]+", "-", names.pop()).lower()
        with contextlib.suppress(PackageNotFoundError):  # for another Python or system
            found = distribution(name)
            if name in seen:
                continue
            seen.add(name)
            files = [pathlib.Path(str(file.locate())) for file in found.files or []]
            if name == "rawchat":  # installed from its folder
                files = list((HERE.parent / "rawchat").rglob("*.py"))
            size += sum(
                file.stat().st_size for file in files if file.suffix != ".pyc" and file.is_file()
            )
            for needed in found.requires or []:
                if "extra ==" not in needed:
                    names += re.findall(r"^[\w.-]+", needed)
    return size / 2**20


def measure_help(who: str, url: str) -> float:
    """CPU milliseconds of --help; of requests and sseclient what their import takes before it could say anything."""
    return spent(
        ["-m", "rawchat", "--help"] if who == "rawchat" else ["-c", "import requests, sseclient"]
    )


def measure_curl(who: str, url: str) -> float:
    """CPU milliseconds of --curl, which builds the request and sends nothing."""
    return spent(
        ["-m", "rawchat", "--curl", "Hi"]
        if who == "rawchat"
        else ["-c", "import requests, sseclient"]
    )


def measure_shot(who: str, url: str) -> float:
    """CPU milliseconds of a whole process that asks once and shows the answer as it comes."""
    url = url.replace("/v1", "/short/v1")
    return spent(
        {
            "rawchat": ["-m", "rawchat", "--base-url", url, "Hi"],
            "sdk": [__file__, "sdk", "show", url],
            "requests": [str(pathlib.Path(__file__).parent / "script.py"), url, "Hi"],
        }[who]
    )


def spent(argv: list[str]) -> float:
    """CPU milliseconds of Python with these arguments: the median of seven, once its bytecode is there."""
    import statistics
    import subprocess

    environ = {**os.environ, "OPENAI_API_KEY": "sk-1234567", "PYTHONDONTWRITEBYTECODE": ""}

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *argv], check=True, env=environ, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3

    once()
    return statistics.median(once() for _ in range(7))


def measure_first(who: str, url: str) -> float:
    """Milliseconds to the first token, against the embedded model; the best of eight."""
    _, stream = asker(who, url)

    def wait() -> float:
        start = time.perf_counter()
        chunks = stream()
        next(chunk for chunk in chunks if content(chunk))
        found = time.perf_counter() - start
        for _ in chunks:
            pass
        return found * 1e3

    return min(wait() for _ in range(8))


def content(chunk: Any) -> Any:
    """The text of a chunk, whoever gave it."""
    choice = (
        chunk["choices"][0]["delta"].get("content")
        if isinstance(chunk, dict)
        else chunk.choices[0].delta.content
    )
    return choice


def measure_bulk(who: str, url: str) -> float:
    """Calls a second, 128 at once, by bulk's threads (of the SDK: AsyncOpenAI)."""
    if who == "sdk":
        return measure_aio(who, url)
    from rawchat import bulk

    return rate(
        lambda count: sum(
            1 for _ in bulk.run_rows(["Hi"] * count, AT_ONCE, base_url=url, environ={})
        )
    )


def measure_aio(who: str, url: str) -> float:
    """Calls a second, 128 at once, by the async client."""
    import asyncio

    async def by_rawchat(count: int) -> None:
        from rawchat.aio import AsyncClient

        async with AsyncClient(max_concurrency=AT_ONCE, base_url=url, environ={}) as client:
            await asyncio.gather(*(client.chat(MESSAGES) for _ in range(count)))

    async def by_sdk(count: int) -> None:
        import openai

        turns = asyncio.Semaphore(AT_ONCE)  # its own limit is 1000

        async def one() -> None:
            async with turns:
                await client.chat.completions.create(model="m", messages=MESSAGES)

        async with openai.AsyncOpenAI(base_url=url, api_key="sk-1") as client:
            await asyncio.gather(*(one() for _ in range(count)))

    together = by_sdk if who == "sdk" else by_rawchat
    return rate(lambda count: asyncio.run(together(count)))


def rate(run: Callable[[int], Any]) -> float:
    """Calls a second of `run(count)`, once it has warmed up."""
    run(AT_ONCE)
    start = time.perf_counter()
    run(TOGETHER)
    return TOGETHER / (time.perf_counter() - start)


if __name__ == "__main__":
    who, what, url = sys.argv[1:]
    if what == "once":
        asker(who, url)[0]()
    elif what == "show":
        for chunk in asker(who, url)[1]():
            print(content(chunk) or "", end="", flush=True)
    else:
        print(globals()[f"measure_{what}"](who, url))
