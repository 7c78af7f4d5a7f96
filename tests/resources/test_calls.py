"""`post`, `get` and `delete` against a scripted server: what comes back, and all that other verbs do, too."""

import os
import pathlib
import pickle
import stat
import subprocess
import sys
from typing import Any

import pytest

import rawchat
from rawchat import trace
from rawchat.resources import Content, Resource
from rawchat.transport import over_http

from ..conftest import Waits
from ..server import CLOSE, Server, answer, completion, head, serving

row = pytest.mark.row

KEY = "sk-1234567890"
ROOT = pathlib.Path(rawchat.__file__).parent.parent
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "error": None,
    "output": [
        {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "no"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "Hel"}, {"type": "other"}]},
        {"type": "message", "content": [{"type": "output_text", "text": "lo"}]},
    ],
    "text": {"format": {"type": "text"}},
    "usage": {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
}
JOB = {"id": "job-1", "object": "fine_tuning.job", "error": {"code": "x", "message": "it failed"}}


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(KEY, server.url, environ={}, **settings)


def typed(body: bytes, content_type: str, status: int = 200) -> bytes:
    return (
        head(status, Content_Type=content_type, Content_Length=len(body), x_request_id="r1") + body
    )


@row("14.1")
def test_the_verbs_reach_any_path() -> None:
    with serving(answer({"ok": True})) as server:
        caller = client(server, default_query={"v": 2})
        assert caller.post("/a", {"x": 1}) == {"ok": True}
        assert caller.get("b", limit=1) == {"ok": True}
        assert caller.delete("/c?x=1") == {"ok": True}
    seen = [(request.method, request.target, request.body) for request in server.requests]
    assert seen == [
        ("POST", "/v1/a?v=2", b'{"x":1}'),
        ("GET", "/v1/b?v=2&limit=1", b""),
        ("DELETE", "/v1/c?x=1&v=2", b""),
    ]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {KEY}"}


@row("14.1")
def test_a_request_with_a_relative_url_can_be_sent() -> None:
    with serving(answer({"ok": True})) as server:
        request = rawchat.Request("POST", "/embeddings?a=1", body=b"{}")
        assert client(server).send(request).read() == b'{"ok": true}'
    assert server.requests[0].target == "/v1/embeddings?a=1"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


@row("14.2")
def test_another_origin_gets_no_key() -> None:
    with serving(answer({"ok": True})) as server, serving(answer({"far": 1})) as other:
        caller = client(server, default_headers={"X-Api-Key": "secret1"}, organization="org-1")
        assert caller.get(other.origin + "/x?y=1") == {"far": 1}
        assert caller.get(server.origin + "/x") == {"ok": True}
        far, near = other.requests[0], server.requests[0]
    assert far.target == "/x?y=1"
    assert not {"authorization", "x-api-key", "openai-organization"} & set(far.headers)
    assert near.headers["authorization"] == f"Bearer {KEY}"
    assert near.headers["x-api-key"] == "secret1"


@row("14.3")
def test_failed_attempts_are_repeated_and_errors_are_those_of_other_verbs(waits: Waits) -> None:
    busy = answer({"error": {"message": "busy", "code": "b"}}, 503)
    with serving(busy, answer({"ok": 1}), answer({"error": {"message": "no"}}, 404)) as server:
        caller = client(server, sleep=waits)
        reply = caller.post("/x", {"a": 1})
        assert (reply.retries, len(waits)) == (1, 1)
        with pytest.raises(rawchat.NotFoundError, match=r"404: no \(GET .*/v1/x\)"):
            caller.get("/x")


@row("14.3")
def test_a_deadline_bounds_the_call() -> None:
    with (
        serving([lambda connection: connection.recv(1)]) as server,
        pytest.raises(rawchat.DeadlineExceededError),
    ):
        client(server, deadline=0.1).post("/x", {"a": 1})


@row("14.3")
def test_on_reply_is_called_with_replies_and_nothing_else() -> None:
    replies: list[Any] = []
    with serving(answer({"ok": 1}), answer([1]), typed(b"x", "audio/wav")) as server:
        caller = client(server, on_reply=replies.append)
        assert [caller.get("/x"), caller.get("/x"), caller.get("/x")] == [{"ok": 1}, [1], b"x"]
    assert replies == [{"ok": 1}]


@row("14.3")
def test_a_trace_shows_the_call_without_the_key() -> None:
    lines: list[str] = []
    with serving(answer({"ok": 1})) as server:
        transport = trace.traced(over_http(server.url, environ={}), lines.append)
        client(server, transport=transport).post("/x", {"f": ("a.bin", b"\xff" * 9)})
    text = "\n".join(lines)
    assert "[9 bytes]" in text
    assert KEY not in text


@pytest.mark.parametrize("value", [[1, 2], [], "text", 1.5, True, None])
def test_other_json_is_returned_as_it_is(value: Any) -> None:
    with serving(answer(value)) as server:
        assert client(server).get("/x") == value


def test_a_response_and_a_chat_have_a_text() -> None:
    with serving(answer(RESPONSE), answer({"choices": [{"message": {"content": "Hi"}}]})) as server:
        caller = client(server)
        reply = caller.post("/responses", {"model": "m", "input": "x"})
        assert isinstance(reply, Resource)
        assert (reply.text, reply["id"], reply.usage) == ("Hello", "resp_1", RESPONSE["usage"])
        assert caller.post("/chat/completions", {}).text == "Hi"


def test_a_resource_that_reports_how_it_failed_is_no_error() -> None:
    with serving(answer(JOB)) as server:
        assert client(server).get("/fine_tuning/jobs/job-1") == JOB


@pytest.mark.parametrize(
    ("answered", "message"),
    [
        (answer({"error": {"message": "overloaded"}}), "200, but an error: overloaded"),
        (typed(b"<html>", "application/json"), "not a JSON object"),
        (typed(b'{"a": ', "application/json"), "cut off"),
    ],
)
def test_json_that_is_none_is_an_error(answered: bytes, message: str) -> None:
    with (
        serving(answered) as server,
        pytest.raises(rawchat.APIResponseValidationError, match=message),
    ):
        client(server, max_retries=0).get("/x")


def test_cut_json_is_requested_again(waits: Waits) -> None:
    with serving(typed(b'{"a": ', "application/json"), answer({"a": 1})) as server:
        assert client(server, sleep=waits).get("/x") == {"a": 1}


@row("14.6")
def test_what_is_not_json_is_bytes_with_a_type(tmp_path: pathlib.Path) -> None:
    with serving(typed(b'{"jsonl": 1}\n', "application/octet-stream; x=1")) as server:
        content = client(server).get("/files/f/content")
    assert isinstance(content, Content)
    assert content == b'{"jsonl": 1}\n'
    assert content.content_type == "application/octet-stream; x=1"
    assert (content.request_id, content.text) == ("r1", '{"jsonl": 1}\n')
    path = tmp_path / "copy"
    assert content.save(path) == str(path)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["copy"]
    again = pickle.loads(pickle.dumps(content))
    assert (again, again.content_type) == (content, content.content_type)


@row("14.6")
@pytest.mark.parametrize(
    "answered", [head(204), answer(b""), typed(b"", "text/plain"), head(200, Content_Length=0)]
)
def test_an_empty_body_is_empty_content(answered: bytes) -> None:
    with serving(answered) as server:
        content = client(server).delete("/files/f")
    assert isinstance(content, Content)
    assert not content


@row("14.6")
def test_a_body_is_bounded_by_max_bytes() -> None:
    with (
        serving(typed(b"x" * 2000, "audio/wav")) as server,
        pytest.raises(rawchat.APIResponseValidationError, match="over 1000 bytes"),
    ):
        client(server, max_bytes=1000, max_retries=0).get("/x")


def test_a_body_that_is_cut_is_requested_again(waits: Waits) -> None:
    cut = [head(200, Content_Type="audio/wav", Content_Length=9) + b"half", CLOSE]
    with serving(cut, typed(b"whole", "audio/wav")) as server:
        assert client(server, sleep=waits).get("/x") == b"whole"


def test_a_saved_file_is_replaced_whole_and_no_link_is_followed(tmp_path: pathlib.Path) -> None:
    content = Content(b"new")
    path = tmp_path / "out"
    path.write_bytes(b"old, and longer")
    content.save(path)
    assert path.read_bytes() == b"new"
    link = tmp_path / "link"
    link.symlink_to(path)
    with pytest.raises(rawchat.RawchatError, match="a symbolic link"):
        content.save(link)
    with pytest.raises(OSError, match="No such file") as caught:
        content.save(tmp_path / "no" / "out")
    assert caught.value.filename == str(tmp_path / "no" / "out")
    assert stat.S_ISREG(path.stat().st_mode)


def test_a_stream_is_not_asked_for_by_post() -> None:
    with (
        serving(answer({"ok": 1})) as server,
        pytest.raises(TypeError, match=r"use stream\(\) to stream"),
    ):
        client(server).post("/responses", {"stream": True})
    assert server.requests == []


def test_a_redirect_of_a_delete_is_followed_only_if_it_keeps_the_method() -> None:
    moved = head(302, Location="/v1/y", Content_Length=0)
    kept = head(307, Location="/v1/y", Content_Length=0)
    with serving(moved, kept, answer({"ok": 1})) as server:
        with pytest.raises(rawchat.APIStatusError, match="redirected to /v1/y"):
            client(server).delete("/x")
        assert client(server).delete("/x") == {"ok": 1}
    assert [request.method for request in server.requests] == ["DELETE"] * 3


def test_the_functions_of_the_module_use_the_default_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    vector = {"data": [{"index": 0, "embedding": [1.0]}]}
    script = [answer({"ok": 1})] * 3 + [answer(vector), typed(b"x", "audio/wav")]
    with serving(*script, typed(b"said", "text/plain"), typed(b"y", "audio/wav")) as server:
        monkeypatch.setattr("rawchat.client.default._client", client(server))
        assert [rawchat.post("/a", x=1), rawchat.get("/b"), rawchat.delete("/c")] == [{"ok": 1}] * 3
        assert rawchat.embed("a").embeddings == [[1.0]]
        assert bytes(rawchat.speak("Hi")) == b"x"
        assert rawchat.transcribe(("a.wav", b"x")).text == "said"
        assert b"".join(rawchat.stream_post("/d", x=1)) == b"y"  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "call",
    [
        "rawchat.Client('sk-1', {url!r}, environ={{}}).chat('Hi')",
        "__import__('rawchat.cli').cli.main(['--base-url', {url!r}, '--no-stream', 'Hi'])",
        "__import__('rawchat.aio').aio.AsyncClient('sk-1', {url!r}, environ={{}})",
    ],
)
def test_other_calls_do_not_load_this_folder(call: str) -> None:
    code = (
        "import sys, rawchat; {}; print(sorted(n for n in sys.modules if n.startswith('rawchat')))"
    )
    with serving(answer(completion())) as server:
        done = subprocess.run(
            [sys.executable, "-c", code.format(call.format(url=server.url))],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "OPENAI_API_KEY": KEY, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
        )
    loaded = done.stdout.splitlines()[-1]
    assert "rawchat.resources" not in loaded
    assert "rawchat.cli.endpoint" not in loaded
