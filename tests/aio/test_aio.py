"""The same verbs, awaited: what is cancelled ends at once, on the wire too."""

import asyncio
import collections
import contextlib
import gc
import inspect
import os
import socket
import sys
import threading
import time
import weakref
from collections.abc import Awaitable
from typing import Any, Callable, ClassVar, Optional

import pytest

import rawchat
from rawchat.aio import AsyncClient, AsyncHistory
from rawchat.aio import workers as workers_module
from rawchat.aio.jobs import ResultQueue
from rawchat.aio.workers import WorkerPool
from rawchat.history import History

from ..server import HELLO, PATIENCE, Server, answer, completion, serving, streamed


def play(use: Callable[[AsyncClient], Awaitable[Any]], server: Server, **settings: Any) -> Any:
    """What `use` gives with a client of `server`."""

    async def whole() -> Any:
        async with AsyncClient(base_url=server.url, environ={}, **settings) as client:
            return await use(client)

    return asyncio.run(whole())


def test_a_loop_is_woken_once_for_all_that_has_come_by_then() -> None:
    class Loop:
        woken: ClassVar[list[Callable[[], None]]] = []

        def call_soon_threadsafe(self, callback: Callable[[], None]) -> None:
            self.woken.append(callback)

    class Future:
        cancelled = staticmethod(lambda: False)
        set_result = staticmethod(lambda result: settled.append(result))

    settled: list[Any] = []
    loop = Loop()
    landing = ResultQueue(loop)  # type: ignore[arg-type]
    for round_ in (1, 2):
        for name in "ab":
            landing.put(Future(), (name, round_), None)  # type: ignore[arg-type]
        assert len(loop.woken) == round_
        loop.woken[-1]()
    assert settled == [("a", 1), ("b", 1), ("a", 2), ("b", 2)]


class Hangup:
    """A step of a script that waits until the client hangs up; `came` is set then."""

    def __init__(self) -> None:
        self.came = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        if not connection.recv(1):
            self.came.set()


def test_every_verb() -> None:
    async def use(client: AsyncClient) -> None:
        assert (await client.chat("Hi", seed=1)).text == "Hello"
        assert (await client.complete("Hi")).text == "Hello"
        for reply in (
            client.moderate("Hi"),
            client.image("a cat"),
            client.models(),
            client.model("m"),
        ):
            assert (await reply).text == "Hello"

    with serving(answer(completion())) as server:
        play(use, server)
    assert [seen.target[3:] for seen in server.requests] == [
        "/chat/completions",
        "/completions",
        "/moderations",
        "/images/generations",
        "/models",
        "/models/m",
    ]
    assert server.requests[0].json["seed"] == 1


def test_streams_are_read_chunk_by_chunk_and_merged() -> None:
    async def use(client: AsyncClient) -> Any:
        async with await client.stream_chat("Hi") as stream:
            texts = [text async for text in stream.texts()]
        async with await client.stream_complete("Hi") as stream:
            chunks = [chunk["id"] async for chunk in stream]
        return texts, chunks, (await stream.reply()).text

    with serving(streamed()) as server:
        assert play(use, server) == (["Hel", "lo"], ["chatcmpl-1"] * 4, "Hello")
    assert server.connections == 1


def test_a_stream_is_entered_awaited_or_made_a_task_alike() -> None:
    async def use(client: AsyncClient) -> Any:
        async with client.stream_chat("Hi") as stream:
            first = [text async for text in stream.texts()]
        async with client.stream_complete("Hi") as stream:
            second = (await stream.reply()).text
        task = asyncio.create_task(client.stream_chat("Hi"))
        third = (await (await task).reply()).text
        client.stream_chat("Hi").close()
        return first, second, third

    with serving(streamed()) as server:
        assert play(use, server) == (["Hel", "lo"], "Hello", "Hello")
    assert len(server.requests) == 3


def test_leaving_a_stream_that_was_entered_hangs_up() -> None:
    hangup = Hangup()

    async def use(client: AsyncClient) -> None:
        async with client.stream_chat("Hi") as stream:
            assert (await stream.__aiter__().__anext__()).text == ""
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)

    with serving(streamed([*HELLO[:2], hangup, "close"])) as server:
        play(use, server)


def test_the_async_client_takes_what_the_client_takes() -> None:
    ours = dict(inspect.signature(AsyncClient).parameters)
    assert ours.pop("max_concurrency").kind is inspect.Parameter.KEYWORD_ONLY
    theirs = inspect.signature(rawchat.Client).parameters
    annotations = {name: p.annotation for name, p in theirs.items()}
    sleep = annotations["sleep"]
    annotations["sleep"] = Optional[sleep]
    assert [(name, p.kind, p.annotation) for name, p in ours.items()] == [
        (name, p.kind, annotations[name]) for name, p in theirs.items()
    ]
    assert [name for name in ours if ours[name].default != theirs[name].default] == ["sleep"]


@pytest.mark.filterwarnings("error")
def test_a_stream_that_is_not_open_says_how_to_open_it() -> None:
    async def use(client: AsyncClient) -> None:
        stream: Any = client.stream_chat("Hi")
        with pytest.raises(TypeError, match="is not open yet: use `async with"):
            iter(stream)
        stream = client.stream_chat("Hi")
        with pytest.raises(TypeError, match="is not open yet: use `async with"):
            async for _ in stream:
                pass
        stream = client.stream_chat("Hi")
        for name in ("reply", "texts"):
            with pytest.raises(AttributeError, match="is not open yet: use `async with"):
                getattr(stream, name)
        assert not hasattr(stream, "cr_await")
        assert (await (await stream).reply()).text == "Hello"

    with serving(streamed(HELLO)) as server:
        play(use, server)
        gc.collect()
    assert len(server.requests) == 1


def test_the_sdks_attributes_and_the_signature_are_as_with_the_client() -> None:
    client: Any = AsyncClient(api_key="sk-1", environ={})
    with pytest.raises(AttributeError, match=r"use client\.chat\(…\)"):
        client.chat.completions.create(model="m", messages=[])
    with pytest.raises(AttributeError, match=r"use client\.embed\(…\)"):
        client.embeddings.create(model="m", input="Hi")
    assert " at 0x" not in str(inspect.signature(AsyncClient))


def test_errors_are_those_of_the_client() -> None:
    with (
        serving(answer({"error": {"message": "no"}}, 404)) as server,
        pytest.raises(rawchat.NotFoundError),
    ):
        play(lambda client: client.chat("Hi"), server)
    broken = streamed(HELLO[:2], end=False)

    async def use(client: AsyncClient) -> None:
        async for _ in await client.stream_chat("Hi"):
            pass

    with (
        serving([*broken, "close"]) as server,
        pytest.raises(rawchat.StreamInterruptedError) as caught,
    ):
        play(use, server)
    assert caught.value.partial.text == "Hel"


def test_chunks_are_read_only_when_they_are_asked_for() -> None:
    came, asked = threading.Event(), threading.Event()

    async def use(client: AsyncClient) -> None:
        async with await client.stream_chat("Hi") as stream:
            chunks = stream.__aiter__()
            for _ in range(2):
                await chunks.__anext__()
            came.set()  # else the server does not go on: nothing can have been read ahead
            assert asked.wait(PATIENCE)
            assert [chunk.text async for chunk in chunks] == ["lo", ""]

    steps = streamed([*HELLO[:2], came, lambda connection: asked.set(), *HELLO[2:]])
    with serving(steps) as server:
        play(use, server)


@pytest.mark.parametrize("verb", ["chat", "stream_chat"])
def test_to_cancel_closes_the_socket_at_once_and_tries_nothing_more(verb: str) -> None:
    begun, hangup = threading.Event(), Hangup()

    async def use(client: AsyncClient) -> None:
        call = asyncio.ensure_future(getattr(client, verb)("Hi"))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)
        assert (await client.chat("Hi")).text == "Hello"  # the client is as good as before

    with serving([lambda connection: begun.set(), hangup, "close"], answer(completion())) as server:
        play(
            use, server, max_concurrency=1
        )  # the next call waits for the thread of the cancelled one
    assert len(server.requests) == 2


def test_a_call_on_a_kept_connection_is_not_sent_again_when_it_is_cancelled() -> None:
    begun, hangup = threading.Event(), Hangup()

    async def use(client: AsyncClient) -> None:
        await client.chat("Hi")
        call = asyncio.ensure_future(client.chat("Hi"))
        await asyncio.to_thread(begun.wait, PATIENCE)
        call.cancel()
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)
        await client.chat("Hi")

    steps = [lambda connection: begun.set(), hangup, "close"]
    with serving(answer(completion()), steps, answer(completion())) as server:
        play(use, server, max_concurrency=1)
    assert len(server.requests) == 3


def test_a_stream_whose_read_is_cancelled_hangs_up() -> None:
    hangup = Hangup()

    async def use(client: AsyncClient) -> None:
        async with await client.stream_chat("Hi") as stream:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.reply(), 0.05)
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)

    with serving(streamed([*HELLO[:2], hangup, "close"])) as server:
        play(use, server)


def test_a_wait_between_attempts_is_cancelled_too() -> None:
    with serving(answer({}, 503, {"Retry-After": "100"})) as server:

        async def use(client: AsyncClient) -> None:
            call = asyncio.ensure_future(client.chat("Hi"))
            while not server.requests:
                await asyncio.sleep(0.005)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await client.run(lambda: "free") == "free"

        start = time.monotonic()
        play(use, server, max_concurrency=1)
        assert time.monotonic() - start < PATIENCE
    assert len(server.requests) == 1


def test_at_most_so_many_at_the_same_time() -> None:
    now, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(4)

    def busy() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        full.wait(PATIENCE)  # four get here, or the test fails
        with lock:
            now -= 1

    async def use(client: AsyncClient) -> None:
        await asyncio.gather(*(client.run(busy) for _ in range(12)))

    with serving(answer({})) as server:
        play(use, server, max_concurrency=4)
    assert most == 4


class Silence:
    """A step of a script that says nothing until `over` is set; `count` streams have come to it."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.count = 0
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket) -> None:
        with self._lock:
            self.count += 1
        self.over.wait(PATIENCE)


def test_silent_streams_do_not_hold_up_a_call() -> None:
    """Six streams are read and say nothing, where three calls may be made at the same time."""
    silence = Silence()

    async def use(client: AsyncClient) -> Any:
        streams = [await client.stream_chat("Think") for _ in range(6)]
        reads = [asyncio.ensure_future(stream.reply()) for stream in streams]
        await asyncio.sleep(0)  # now they are read
        while silence.count < len(streams):
            await asyncio.sleep(0)
        reply = await client.chat("Hi")
        assert not any(read.done() for read in reads)
        silence.over.set()
        return reply.text, {(await read).text for read in reads}

    silent = streamed([*HELLO[:2], silence, *HELLO[2:]])
    with serving(*[silent] * 6, answer(completion("Now"))) as server:
        assert play(use, server, max_concurrency=3) == ("Now", {"Hello"})


def test_a_call_does_not_take_the_place_of_one_that_is_under_way_when_a_read_ends() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def busy() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0)
        with lock:
            now -= 1

    async def use() -> None:
        workers = WorkerPool(2)
        jobs = [workers.submit(busy) for _ in range(50)]
        jobs += [workers.submit_read(int) for _ in range(50)]
        await asyncio.gather(*jobs)
        workers.close()

    asyncio.run(use())
    assert most <= 2


def test_the_default_allows_a_thousand_calls() -> None:
    full = threading.Barrier(1000)

    async def use() -> None:
        client = AsyncClient(base_url="http://localhost/v1", environ={})
        await asyncio.gather(*(client.run(full.wait, PATIENCE) for _ in range(1000)))
        await client.close()

    asyncio.run(use())


def test_an_idle_thread_is_let_go_and_another_one_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rawchat.aio.workers.IDLE_SECONDS", 0.001)

    async def use() -> None:
        workers = WorkerPool(2)
        first = await workers.submit(threading.current_thread)
        first.join(PATIENCE)
        assert not first.is_alive()
        jobs = [workers.submit(threading.current_thread) for _ in range(300)]
        assert first not in await asyncio.gather(*jobs)
        workers.close()

    asyncio.run(asyncio.wait_for(use(), PATIENCE))


class Clocks:
    """The clocks of a pool, of which a second passes with each look at them."""

    def __init__(self, share: float):
        self.share = share  #: the part of a core that the process uses
        self.seconds = self.cpu = 0.0
        self.on_look: Callable[[], None] = lambda: None

    def monotonic(self) -> float:
        self.seconds += 1.0
        return self.seconds

    def process_time(self) -> float:
        self.on_look()
        self.cpu += self.share
        return self.cpu


def count_threads(share: float, is_busy: bool, monkeypatch: pytest.MonkeyPatch) -> int:
    """Return how many of a hundred calls that wait for a server are begun; with `is_busy`, others end all the time."""
    clocks = Clocks(share)
    monkeypatch.setattr(workers_module, "time", clocks)
    free = threading.Event()
    begun = collections.deque[None]()

    def wait() -> None:
        begun.append(None)
        free.wait(PATIENCE)

    async def whole() -> int:
        workers = WorkerPool(1000)

        def finish_one() -> None:
            workers._threads._n_finished += is_busy

        clocks.on_look = finish_one
        waiting = [workers.submit(wait) for _ in range(100)]
        while clocks.seconds < 20:
            await asyncio.sleep(workers_module.GROWTH_SECONDS)
            if len(begun) == len(waiting):
                break
        count = len(begun)
        free.set()
        await asyncio.gather(*waiting)
        workers.close()
        return count

    return asyncio.run(whole())


def test_calls_get_threads_while_the_process_uses_less_than_a_core(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert count_threads(0.5, True, monkeypatch) == 100
    assert count_threads(0.95, True, monkeypatch) == workers_module.FIRST_THREADS
    # A core is in use, but by something else, as no call ends.
    assert count_threads(0.95, False, monkeypatch) == 100


def test_a_read_does_not_wait_for_the_calls_that_wait_for_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers_module, "GROWTH_SECONDS", 3600.0)
    free = threading.Event()

    async def use() -> None:
        workers = WorkerPool(1000)
        calls = [workers.submit(free.wait, PATIENCE) for _ in range(100)]
        assert await workers.submit_read(int) == 0
        assert not any(call.done() for call in calls)
        free.set()
        await asyncio.gather(*calls)
        workers.close()

    asyncio.run(asyncio.wait_for(use(), PATIENCE))


def test_a_loop_that_ends_takes_no_threads_from_another_one() -> None:
    """Both have calls that wait for a thread, and the one that asked last is closed before any is started."""
    workers = WorkerPool(1000)
    free = threading.Event()

    async def submit(count: int) -> "list[asyncio.Future[bool]]":
        return [workers.submit(free.wait, PATIENCE) for _ in range(count)]

    async def call() -> int:
        number: int = await asyncio.wait_for(workers.submit(int), PATIENCE / 2)
        return number

    with contextlib.closing(asyncio.new_event_loop()) as first:
        waiting = first.run_until_complete(submit(workers_module.FIRST_THREADS))
        calling = first.create_task(call())
        first.run_until_complete(asyncio.sleep(0))
        with contextlib.closing(asyncio.new_event_loop()) as second:
            second.run_until_complete(submit(1))
        assert first.run_until_complete(calling) == 0
        free.set()
        first.run_until_complete(asyncio.wait(waiting))
        workers.close()


def test_an_outcome_goes_to_the_loop_of_its_call_though_another_one_calls_at_the_same_moment() -> (
    None
):
    workers = WorkerPool(1000)

    async def call() -> int:
        number: int = await workers.submit(int)
        return number

    async def interrupted_call() -> int:
        loop = asyncio.get_running_loop()
        create_future = loop.create_future

        def let_another_loop_call() -> Any:
            loop.create_future = create_future  # type: ignore[method-assign]
            other = threading.Thread(target=lambda: asyncio.run(call()))
            other.start()
            other.join()
            return create_future()

        loop.create_future = let_another_loop_call  # type: ignore[method-assign]
        return await asyncio.wait_for(workers.submit(int), PATIENCE / 2)

    assert asyncio.run(interrupted_call()) == 0
    workers.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_has_threads_of_its_own() -> None:
    workers = WorkerPool(1000)

    async def call() -> int:
        pid: int = await asyncio.wait_for(workers.submit(os.getpid), PATIENCE / 2)
        return pid

    assert asyncio.run(call()) == os.getpid()
    child = os.fork()
    if not child:
        status = 1
        with contextlib.suppress(BaseException):
            status = asyncio.run(call()) != os.getpid()
        os._exit(status)
    assert os.waitpid(child, 0)[1] == 0
    workers.close()


def test_where_no_thread_can_be_started_jobs_wait_for_those_that_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start
    left = 1

    def start_one(thread: threading.Thread) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise RuntimeError("can't start new thread")
        start(thread)

    async def use() -> None:
        nonlocal left
        monkeypatch.setattr(threading.Thread, "start", start_one)
        workers = WorkerPool(3)
        jobs = [workers.submit(threading.current_thread) for _ in range(5)]
        assert len(set(await asyncio.gather(*jobs))) == 1
        left = 0
        jobs = [workers.submit(threading.current_thread) for _ in range(5)]
        assert len(set(await asyncio.gather(*jobs))) == 1
        workers.close()
        left = 0
        alone = WorkerPool(3)
        with pytest.raises(RuntimeError, match="start new thread"):
            alone.submit(int)
        left = 1
        assert await alone.submit(int) == 0
        alone.close()

    asyncio.run(asyncio.wait_for(use(), PATIENCE))


def test_after_close_a_call_is_an_error() -> None:
    async def use(client: AsyncClient) -> None:
        await client.close()
        await client.chat("Hi")

    with (
        serving(answer({})) as server,
        pytest.raises(rawchat.RawchatError, match="this client is closed"),
    ):
        play(use, server)
    assert server.requests == []


def test_parse_and_pictures_are_those_of_the_client() -> None:
    async def use(client: AsyncClient) -> Any:
        return await client.parse("How many?", list[int]), type(await client.image("a cat"))

    with serving(answer(completion('{"value": [1, 2]}')), answer({"data": []})) as server:
        assert play(use, server) == ([1, 2], rawchat.Pictures)


# ---- the threads


def test_calls_one_after_the_other_take_one_thread_and_it_ends_with_the_client() -> None:
    used = set[threading.Thread]()

    async def use(client: AsyncClient) -> None:
        for _ in range(20):
            await client.run(lambda: used.add(threading.current_thread()))

    with serving(answer({})) as server:
        play(use, server)
    (thread,) = used
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_threads_end_when_nobody_holds_them_and_hold_nothing_while_they_rest() -> None:
    class Big:
        """Something that can be watched."""

    async def use() -> tuple[threading.Thread, Any]:
        threads, big = WorkerPool(2), Big()
        thread = await threads.submit(lambda given: threading.current_thread(), big)
        watched, big = weakref.ref(big), None  # type: ignore[assignment]
        while watched():  # until the thread has let go of its job
            gc.collect()
            await asyncio.sleep(0)
        return thread, weakref.ref(threads)

    thread, threads = asyncio.run(asyncio.wait_for(use(), PATIENCE))
    gc.collect()
    thread.join(PATIENCE)
    assert (threads(), thread.is_alive()) == (None, False)


def test_what_comes_when_the_loop_is_closed_is_not_kept() -> None:
    class Big:
        """Something that can be watched."""

    threads, free, made = WorkerPool(1), threading.Event(), list[Any]()

    def late() -> Big:
        free.wait(PATIENCE)
        big = Big()
        made.append(weakref.ref(big))
        return big

    async def leave() -> None:
        for _ in range(2):
            threads.submit(late)

    asyncio.run(leave())
    free.set()
    end = time.monotonic() + PATIENCE
    while len(made) < 2 or any(big() for big in made):
        assert time.monotonic() < end
        gc.collect()
    threads.close()


def test_one_client_serves_one_loop_after_the_other() -> None:
    with serving(answer(completion())) as server:
        client = AsyncClient(base_url=server.url, environ={})
        assert [asyncio.run(client.chat("Hi")).text for _ in range(3)] == ["Hello"] * 3
        asyncio.run(client.close())
    assert server.connections == 1


def test_a_call_that_is_cancelled_before_its_turn_is_never_made() -> None:
    begun, free = threading.Event(), threading.Event()

    def busy() -> None:
        begun.set()
        free.wait(PATIENCE)

    async def use(client: AsyncClient) -> None:
        first = asyncio.ensure_future(client.run(busy))
        await asyncio.to_thread(begun.wait, PATIENCE)
        second = asyncio.ensure_future(client.run(made.append, "second"))
        await asyncio.sleep(0)
        second.cancel()
        free.set()
        await first
        await client.run(made.append, "third")

    made = list[str]()
    with serving(answer({})) as server:
        play(use, server, max_concurrency=1)
    assert made == ["third"]


def test_what_a_job_raises_is_raised_where_it_is_awaited() -> None:
    async def use(client: AsyncClient) -> None:
        with pytest.raises(ZeroDivisionError):
            await client.run(lambda: 1 // 0)
        with pytest.raises(RuntimeError, match="StopIteration"):
            await client.run(next, iter(()))
        with pytest.raises(SystemExit):
            await client.run(sys.exit)

    with serving(answer({})) as server:
        play(use, server)
    with pytest.raises(ValueError, match="at least 1"):
        AsyncClient(max_concurrency=0, base_url=server.url, environ={})


# ---- conversations

SAID = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def test_a_conversation_is_awaited() -> None:
    async def use(client: AsyncClient) -> History:
        talk = client.history(system="Be brief.")
        assert (await talk.ask("Hi", seed=1)).text == "Hello"
        assert [piece async for piece in talk.stream("And?")] == ["Hel", "lo"]
        assert talk.history[1:] == [*SAID, {"role": "user", "content": "And?"}, SAID[1]]
        await talk.summarise(keep=0)
        assert await talk.summarise(keep=5) is None
        return talk.history

    usage = {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    with serving(
        answer(completion(**usage)), streamed(), answer(completion("Greetings."))
    ) as server:
        history = play(use, server)
    assert [message["content"] for message in history] == [
        "Be brief.",
        "Summary of the conversation so far: Greetings.",
    ]
    assert (history.usage.total, history.usage.calls) == (9, 3)
    assert server.requests[0].json["seed"] == 1
    assert server.requests[1].json["stream_options"] == {"include_usage": True}
    assert len(server.requests[1].json["messages"]) == 4


def test_a_saved_conversation_goes_on_with_the_client_that_is_given(tmp_path: Any) -> None:
    def stranger(request: rawchat.Request) -> rawchat.Response:
        raise AssertionError("another client was asked")

    old = History(rawchat.Client(transport=stranger, base_url="http://localhost", environ={}))
    old += SAID
    old.save(tmp_path / "talk.jsonl")

    async def use(client: AsyncClient) -> None:
        talk = AsyncHistory(
            client, History.load(tmp_path / "talk.jsonl", old.client, max_messages=2)
        )
        await talk.ask("Again")
        assert [message["content"] for message in talk.history] == ["Hi", "Hello", "Again", "Hello"]
        assert talk.history.client is old.client

    with serving(answer(completion())) as server:
        play(use, server)
    assert [message["content"] for message in server.requests[0].json["messages"]] == ["Again"]


def before(history: History) -> Any:
    return list(history), history.usage, dict(history.sizes)


@pytest.mark.parametrize("verb", ["ask", "summarise"])
def test_a_cancelled_call_leaves_a_conversation_as_it_was(verb: str) -> None:
    begun, hangup = threading.Event(), Hangup()

    async def use(client: AsyncClient) -> None:
        talk = client.history(system="Be brief.")
        talk.history += SAID * 3
        was = before(talk.history)
        call = asyncio.ensure_future(getattr(talk, verb)(*["Hi"] * (verb == "ask")))
        await asyncio.to_thread(begun.wait, PATIENCE)
        assert before(talk.history) == was  # not even while it is under way
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert before(talk.history) == was
        assert await asyncio.to_thread(hangup.came.wait, PATIENCE)
        assert before(talk.history) == was
        await talk.ask("Hi")  # and it can go on
        assert talk.history[1:] == SAID * 4

    with serving([lambda connection: begun.set(), hangup, "close"], answer(completion())) as server:
        play(use, server)
    assert len(server.requests) == 2


def test_a_stream_that_is_cancelled_or_left_leaves_a_conversation_as_it_was() -> None:
    cut, left = Hangup(), Hangup()

    async def use(client: AsyncClient) -> None:
        talk = client.history()
        talk.history += SAID
        heard = list[str]()

        async def listen() -> None:
            async for piece in talk.stream("And?"):
                heard.append(piece)

        call = asyncio.ensure_future(listen())
        while not heard:  # cancelled in the midst of it, while it waits for the next piece
            await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (talk.history, talk.history.usage.calls) == (SAID, 0)
        assert await asyncio.to_thread(cut.came.wait, PATIENCE)

        pieces = talk.stream("And?")
        assert await pieces.__anext__() == "Hel"
        await pieces.aclose()  # type: ignore[attr-defined]
        assert (talk.history, talk.history.usage.calls) == (SAID, 0)
        assert await asyncio.to_thread(left.came.wait, PATIENCE)

        await listen()
        assert talk.history == [*SAID, {"role": "user", "content": "And?"}, SAID[1]]

    with serving(
        streamed([*HELLO[:2], cut, "close"]), streamed([*HELLO[:2], left, "close"]), streamed()
    ) as server:
        play(use, server)


def test_a_call_that_fails_leaves_a_conversation_as_it_was_but_for_what_it_cost() -> None:
    async def use(client: AsyncClient) -> None:
        talk = client.history()
        with pytest.raises(rawchat.BadRequestError):
            await talk.ask("Hi")
        with pytest.raises(rawchat.StreamInterruptedError):
            [piece async for piece in talk.stream("Hi")]
        assert (talk.history, talk.history.usage.total) == ([], 0)
        with pytest.raises(rawchat.APIResponseValidationError):
            await talk.ask("Hi")
        assert (talk.history, talk.history.usage.total) == ([], 9)

    empty = {"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 2}}
    with serving(
        answer({"error": "no"}, 400), [*streamed(HELLO[:2], end=False), "close"], answer(empty)
    ) as server:
        play(use, server)


def test_a_conversation_asks_one_question_at_a_time() -> None:
    async def use(client: AsyncClient) -> History:
        talk = client.history()
        calls = [talk.ask("1"), talk.ask("2"), talk.ask("3")]
        talk.history.append({"role": "user", "content": "0"})
        answers = asyncio.gather(*calls)
        while not server.requests:
            await asyncio.sleep(0)
        talk.history.append({"role": "user", "content": "in between"})
        await answers
        return talk.history

    with serving(
        answer(completion("a")), answer(completion("b")), answer(completion("c"))
    ) as server:
        history = play(use, server)
    assert [message["content"] for message in history] == [
        "0",
        "1",
        "a",
        "in between",
        "2",
        "b",
        "3",
        "c",
    ]
    assert [len(seen.json["messages"]) for seen in server.requests] == [2, 5, 7]
