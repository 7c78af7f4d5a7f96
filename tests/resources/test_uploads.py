"""Ten ways in which an upload breaks, and what it costs when it does not."""

import contextlib
import io
import os
import pathlib
import shlex
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat
from rawchat import cache, trace
from rawchat.resources.build import build_request
from rawchat.resources.files import MAX_IN_MEMORY, PIECE_SIZE
from rawchat.resources.multipart import Form
from rawchat.trace import har
from rawchat.trace.replay import find_difference
from rawchat.transport import over_http

from ..conftest import Waits
from ..server import PATIENCE, RESET, Server, answer, head, read_request, serving

row = pytest.mark.row

KEY = "sk-1234567890"
OK = answer({"id": "file-1"})
LARGE = 4 * 2**20  #: bytes that no socket's buffers hold
TOO_LARGE = answer({"error": {"message": "too large"}}, 413, {"Connection": "close"})


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(KEY, server.url, environ={}, **settings)


def sent_file(body: bytes) -> bytes:
    """The bytes of the only file in a form."""
    boundary, _, rest = body.partition(b"\r\n")
    content: bytes = rest.partition(b"\r\n\r\n")[2]
    return content[: -len(b"\r\n" + boundary + b"--\r\n")]


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"Hello")
    return path


# ---- before anything is sent


@row("14.5")
def test_a_file_that_is_not_there_and_a_folder_are_errors_before_anything_is_sent(
    tmp_path: pathlib.Path,
) -> None:
    with serving(OK) as server:
        with pytest.raises(FileNotFoundError, match=r"No such file .*gone\.wav"):
            client(server).post("/files", {"file": tmp_path / "gone.wav"})
        with pytest.raises((IsADirectoryError, PermissionError), match=r"directory|denied"):
            client(server).post("/files", {"file": tmp_path})
    assert server.requests == []


@row("14.5")
@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="no permissions of that kind")
def test_a_file_that_may_not_be_read_is_an_error(path: pathlib.Path) -> None:
    path.chmod(0)
    with serving(OK) as server:
        caller = client(server)
        caller.post("/files", {"file": ("a", b"x")})  # loads all that a call needs
        with unprivileged(), pytest.raises(PermissionError, match=r"rows\.jsonl"):
            caller.post("/files", {"file": path})
    assert len(server.requests) == 1


@contextlib.contextmanager
def unprivileged() -> Iterator[None]:
    """Be nobody for a moment: root reads every file."""
    uid = os.geteuid()
    if uid == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(uid)


# ---- the bytes that arrive


@row("14.5")
def test_an_empty_file_and_a_name_with_quotes_and_newlines(tmp_path: pathlib.Path) -> None:
    odd = tmp_path / 'a"b\r\n.txt'
    odd.write_bytes(b"")
    with serving(OK) as server:
        client(server).post("/files", {"file": odd})
    body = server.requests[0].body
    assert b'filename="a%22b%0D%0A.txt"\r\n' in body
    assert sent_file(body) == b""
    assert int(server.requests[0].headers["content-length"]) == len(body)


@row("14.5")
@pytest.mark.parametrize("size", [5, MAX_IN_MEMORY + PIECE_SIZE + 1])
def test_a_pipe_is_read_to_its_end_and_can_be_sent_again(waits: Waits, size: int) -> None:
    data = os.urandom(size)
    reader, writer = os.pipe()

    def fill() -> None:
        with open(writer, "wb") as file:
            file.write(data)

    filling = threading.Thread(target=fill, daemon=True)
    filling.start()
    with serving(answer({}, 503), OK) as server, open(reader, "rb") as pipe:
        client(server, sleep=waits).post("/files", {"file": ("p", pipe)})
    filling.join(PATIENCE)
    assert [sent_file(request.body) for request in server.requests] == [data, data]
    assert "transfer-encoding" not in server.requests[0].headers


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_path_to_a_pipe_is_read_to_its_end(tmp_path: pathlib.Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    threading.Thread(target=fifo.write_bytes, args=(b"piped",), daemon=True).start()
    form = Form({"file": fifo})
    assert sent_file(b"".join(form.open())) == b"piped"


def test_an_open_file_is_sent_from_its_beginning_however_far_it_was_read(
    path: pathlib.Path,
) -> None:
    with serving(OK) as server, open(path, "rb") as file:
        file.read(3)
        client(server).post("/files", {"file": file})
    assert sent_file(server.requests[0].body) == b"Hello"
    assert b'filename="rows.jsonl"' in server.requests[0].body


@row("14.5")
def test_a_retry_sends_the_whole_file_again(waits: Waits, path: pathlib.Path) -> None:
    path.write_bytes(os.urandom(LARGE))
    with serving(answer({}, 503), [RESET], OK) as server, open(path, "rb") as file:
        reply = client(server, sleep=waits).post("/files", {"file": file, "other": path})
    assert reply.retries == 2
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


# ---- connections that break


@contextlib.contextmanager
def interrupting(reply: bytes = b"", reset: bool = True) -> Iterator[tuple[str, list[int]]]:
    """A server that reads 64 KiB of each request, says `reply`, and resets the connection."""
    counted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        size = 0
                        while size < 65536:
                            size += len(connection.recv(65536 - size))
                        counted.append(size)
                        connection.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", counted
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


@row("14.5")
def test_a_reset_half_way_is_tried_again_and_then_a_connection_error(
    waits: Waits, path: pathlib.Path
) -> None:
    path.write_bytes(bytes(LARGE))
    with interrupting() as (url, counted):
        caller = rawchat.Client(KEY, url, environ={}, sleep=waits)
        with pytest.raises(rawchat.APIConnectionError) as caught:
            caller.post("/files", {"file": path})
    assert len(counted) == 3
    assert "\n" not in str(caught.value)
    assert KEY not in repr(caught.value)


@row("14.5")
def test_an_answer_before_the_end_is_read(path: pathlib.Path) -> None:
    path.write_bytes(bytes(LARGE))
    with (
        interrupting(TOO_LARGE) as (url, counted),
        pytest.raises(rawchat.APIStatusError, match="413: too large"),
    ):
        rawchat.Client(KEY, url, environ={}).post("/files", {"file": path})
    assert len(counted) == 1


# ---- files that change


def change_after_first_attempt(change: Any) -> Any:
    """An answer: 503, after `change` was called."""
    return [lambda connection: change(), answer({}, 503)]


@row("14.5")
def test_a_file_that_goes_between_two_attempts_is_an_error(
    waits: Waits, path: pathlib.Path
) -> None:
    with (
        serving(change_after_first_attempt(path.unlink), OK) as server,
        pytest.raises(
            rawchat.RawchatError, match=r"rows\.jsonl changed while it was sent: No such file"
        ) as caught,
    ):
        client(server, sleep=waits).post("/files", {"file": path})
    assert len(server.requests) == 1
    assert not isinstance(caught.value, rawchat.APIError)


@row("14.5")
def test_a_file_that_shrinks_is_an_error_and_no_half_body_counts(
    waits: Waits, path: pathlib.Path
) -> None:
    shrink = change_after_first_attempt(lambda: path.write_bytes(b"He"))
    with (
        serving(shrink, OK) as server,
        pytest.raises(rawchat.RawchatError, match="it ended after 2 of 5 bytes") as caught,
    ):
        client(server, sleep=waits).post("/files", {"file": path})
    frames = [frame.tb_frame for frame in walk(caught.value.__traceback__)]
    assert not any(KEY in repr(frame.f_locals.get("headers")) for frame in frames)


def walk(traceback: Any) -> Iterator[Any]:
    while traceback:
        yield traceback
        traceback = traceback.tb_next


@row("14.5")
def test_a_file_that_grows_is_sent_as_long_as_it_was(waits: Waits, path: pathlib.Path) -> None:
    grow = change_after_first_attempt(lambda: path.write_bytes(b"Hello, world"))
    with serving(grow, OK) as server:
        client(server, sleep=waits).post("/files", {"file": path})
    assert [sent_file(request.body) for request in server.requests] == [b"Hello", b"Hello"]


def test_a_file_that_was_closed_is_an_error(waits: Waits, path: pathlib.Path) -> None:
    file = open(path, "rb")  # noqa: SIM115  # it is closed while it is sent
    with (
        serving(change_after_first_attempt(file.close), OK) as server,
        pytest.raises(rawchat.RawchatError, match=r"upload|rows\.jsonl changed while"),
    ):
        client(server, sleep=waits).post("/files", {"file": file})


# ---- memory


@contextlib.contextmanager
def sink() -> Iterator[tuple[str, list[int]]]:
    """A server that counts the bytes of bodies and keeps none of them."""
    counted: list[int] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            buffer = bytearray(2**20)
            connection, _ = listener.accept()
            with connection, connection.makefile("rb", buffering=0) as raw:
                received = b""
                while b"\r\n\r\n" not in received:
                    received += raw.read(1)
                length = int(received.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                count = 0
                while count < length:
                    count += connection.recv_into(buffer)
                counted.append(count)
                connection.sendall(OK)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1", counted


@row("14.5")
def test_three_gigabytes_take_constant_memory(path: pathlib.Path) -> None:
    tracemalloc = pytest.importorskip("tracemalloc", reason="PyPy has none")
    size = 3 * 2**30
    with open(path, "wb") as file:
        file.truncate(size)  # sparse: it takes no space on the disk
    with sink() as (url, counted):
        caller = rawchat.Client(KEY, url, environ={})
        caller.transport  # noqa: B018  # loads requests
        tracemalloc.start()
        try:
            assert caller.post("/files", {"file": path})["id"] == "file-1"
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert counted[0] > size
    assert peak < 8 * 2**20


# ---- what watches the wire


def upload(path: pathlib.Path, **fields: Any) -> rawchat.Request:
    config = rawchat.Client(KEY, "http://localhost/v1", environ={}).config
    return build_request(config, "POST", "/files", {"file": path, **fields}, {})


def test_a_curl_command_sends_the_form(path: pathlib.Path) -> None:
    words = shlex.split(trace.curl(upload(path, purpose="a'b")))
    assert words[-4:-2] == ["--form-string", "purpose=a'b"]
    assert words[-2:] == ["--form", f'file=@"{path}";type={guess(path)}']
    assert not any("multipart" in word for word in words)


def guess(path: pathlib.Path) -> str:
    form = Form({"file": path})
    return str(form.files[0].content_type)


def test_a_curl_command_reads_bytes_that_are_no_text_from_standard_input() -> None:
    assert trace.curl(rawchat.Request("POST", "http://h/x", body=b"\xff")).endswith(
        " --data-binary @-"
    )
    assert trace.curl(rawchat.Request("POST", "http://h/x", body=b"a")).endswith(" --data-raw a")


def test_an_upload_can_be_replayed_though_its_boundary_is_another(path: pathlib.Path) -> None:
    exchanges: list[Any] = []
    with serving(OK) as server:
        transport = trace.observe(over_http(server.url, environ={}), har.collector(exchanges))
        client(server, transport=transport).post("/files", {"file": path, "purpose": "batch"})
    recorded = har.archive(exchanges)["log"]["entries"][0]["request"]
    again = exchanges[0].request._replace(
        body=Form({"file": path, "purpose": "batch"}, boundary="other"),
        headers={"content-type": "multipart/form-data; boundary=other"},
    )
    assert find_difference(recorded, again) is None
    other = again._replace(body=Form({"file": path, "purpose": "else"}, boundary="other"))
    assert "body is" in str(find_difference(recorded, other))


def test_an_archive_holds_the_texts_and_the_size(path: pathlib.Path) -> None:
    exchanges: list[Any] = []
    with serving(OK) as server:
        inner = over_http(server.url, environ={})
        transport = trace.observe(inner, har.collector(exchanges))
        client(server, transport=transport).post("/files", {"file": path, "purpose": "batch"})
        length = len(server.requests[0].body)
    entry = har.archive(exchanges)["log"]["entries"][0]["request"]
    assert entry["bodySize"] == length
    assert "[5 bytes]" in entry["postData"]["text"]
    assert "batch" in entry["postData"]["text"]


def test_a_cache_lets_uploads_pass(path: pathlib.Path) -> None:
    with serving(OK) as server:
        store: dict[str, Any] = {}
        transport = cache.cached(over_http(server.url, environ={}), store)
        for _ in range(2):
            client(server, transport=transport).post("/files", {"file": path})
        assert len(server.requests) == 2
    assert store == {}


def test_the_server_of_these_tests_reads_what_it_should() -> None:
    seen = read_request(io.BytesIO(head().replace(b"HTTP/1.1 200 Whatever", b"POST / HTTP/1.1")), 0)
    assert seen is not None
    assert seen.method == "POST"
