"""One property: a key shows nowhere, whatever goes wrong, and even where the server echoes it."""

import base64
import json
import logging
import pickle
import traceback
from collections.abc import Sequence
from typing import Any

import pytest

import rawchat
from rawchat import endpoints, errors, trace
from rawchat.client import authorize
from rawchat.trace import har
from rawchat.transport import over_http

from ..server import CLOSE, HELLO, RESET, answer, event, serving, streamed

row = pytest.mark.row
KEY = "sk-proj-very-secret-0123456789"
FORMS = [
    KEY,
    base64.b64encode(KEY.encode()).decode(),
    base64.b64encode(f"Bearer {KEY}".encode()).decode(),
    repr(KEY)[1:-1],
]
ECHO = {
    "message": f"you sent Bearer {KEY}",
    "code": KEY,
    "param": KEY,
    "type": KEY,
    "headers": [{"authorization": KEY}],
}
BACK = {"X-Request-Id": KEY, "X-Echo": f"Bearer {KEY}", "Set-Cookie": KEY}
NEVER = [lambda connection: connection.recv(1)]


def refused(status: int, **more: Any) -> list[bytes]:
    return [answer({"error": {**ECHO, **more}}, status, BACK)]


# every class that a call can raise: the script of the server, and settings of the client
CALLS: dict[str, tuple[Sequence[Any], dict[str, Any]]] = {
    "BadRequestError": (refused(400), {}),
    "AuthenticationError": (refused(401), {}),
    "PermissionDeniedError": (refused(403), {}),
    "NotFoundError": (refused(404), {}),
    "ConflictError": (refused(409), {}),
    "UnprocessableEntityError": (refused(422), {}),
    "RateLimitError": (refused(429), {}),
    "InternalServerError": (refused(500), {}),
    "APIStatusError": ([answer(KEY.encode(), 302, {"Location": f"/?{KEY}"})], {}),
    "ContextLengthExceededError": (refused(400, code="context_length_exceeded"), {}),
    "APIResponseValidationError": ([answer(f"<html>{KEY}".encode(), headers=BACK)], {}),
    "APIConnectionError": ([[f"{KEY} {KEY}\r\n\r\n".encode(), CLOSE]], {}),
    "APITimeoutError": ([NEVER], {"timeout": 0.05}),
    "DeadlineExceededError": ([NEVER], {"deadline": 0.05}),
    "StreamInterruptedError": ([[*streamed([HELLO[1]], headers=BACK)]], {}),
    "StreamTimeoutError": (
        [[*streamed([HELLO[1]], headers=BACK, end=False), *NEVER]],
        {"timeout": 0.05},
    ),
    "APIError": ([streamed([event({"error": ECHO})], headers=BACK)], {}),
}


@row("4.5", "8.5")
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_key_shows_nowhere_whatever_goes_wrong(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    script, settings = CALLS[name]
    shown: list[str] = []
    exchanges: list[trace.Exchange] = []
    with caplog.at_level(logging.DEBUG), serving(*script) as server:
        transport = trace.observe(
            trace.traced(over_http(server.url, environ={}), shown.append), har.collector(exchanges)
        )
        client = rawchat.Client(
            api_key=KEY, transport=transport, environ={}, max_retries=1, sleep=abs, **settings
        )
        with pytest.raises(errors.APIError) as caught:
            list(client.stream_chat("Hi", user=base64.b64encode(b"not a key").decode()))
        request = endpoints.chat(client.config, "Hi", {})
    error = caught.value
    assert type(error).__name__ == name
    shown += [
        str(error),
        repr(error),
        repr(error.__dict__),
        repr(error.args),
        repr(error.__cause__),
        repr(error.__context__),
    ]
    shown += traceback.format_exception(None, error, error.__traceback__)
    shown += [
        pickle.dumps(error).decode("latin-1"),
        repr(pickle.loads(pickle.dumps(error)).__dict__),
    ]
    shown += [record.getMessage() for record in caplog.records] + [
        repr(record.args) for record in caplog.records
    ]
    shown += [
        repr(client),
        repr(client.config),
        repr(client.config.keys()),
        repr(authorize(request, client.config.keys()[0])),
    ]
    shown += [
        trace.format_request(authorize(request, client.config.keys()[0])),
        trace.curl(authorize(request, client.config.keys()[0])),
    ]
    shown.append(json.dumps(har.archive(exchanges)))
    assert not [text for text in shown for form in FORMS if form in text]


@row("4.5")
def test_every_class_that_a_call_can_raise_is_provoked() -> None:
    ours = {
        name
        for name, home in rawchat.HOMES.items()
        if home == "errors" and issubclass(getattr(errors, name), errors.APIError)
    }
    ours.remove("CircuitOpenError")  # nothing was sent: see tests/limits
    assert set(CALLS) == ours


@row("4.5", "1.8")
def test_a_key_that_cannot_be_used_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for bad in (KEY + "\n" + KEY, KEY + "é", KEY + " " + KEY, KEY + "\x7f"):
        for given in ({"api_key": bad}, {"api_key": [bad]}, {"environ": {"OPENAI_API_KEY": bad}}):
            with pytest.raises(errors.ConfigError) as caught:
                rawchat.Client(**given)
            text = "".join(
                traceback.format_exception(None, caught.value, caught.value.__traceback__)
            )
            assert not [form for form in FORMS if form in text + repr(caught.value)]


@row("4.5")
def test_a_reset_in_mid_answer_tells_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        serving([b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + KEY.encode(), RESET]) as server,
    ):
        with pytest.raises(errors.APIConnectionError) as caught:
            rawchat.Client(api_key=KEY, base_url=server.url, environ={}, max_retries=0).chat("Hi")
        text = (
            "".join(traceback.format_exception(None, caught.value, caught.value.__traceback__))
            + caplog.text
        )
        assert KEY not in text


PREFIX = KEY[:8]  # what a cut text may show at most, less one character


def fail_with(script: Any, **settings: Any) -> str:
    """Return all that the error of a call shows, whose server answers with `script`."""
    with serving(script) as server:
        base_url = server.url + settings.pop("query", "")
        client = rawchat.Client(KEY, base_url, environ={}, max_retries=0, **settings)
        with pytest.raises(errors.APIError) as caught:
            client.chat("Hi")
    error = caught.value
    return f"{error} {error!r} {error.__dict__!r} {error.__cause__!r}"


@row("4.5")
@pytest.mark.parametrize("shown", [len(KEY) - 1, len(KEY) // 2, len(PREFIX)])
@pytest.mark.parametrize("place", ["message", "code", "request id", "location", "text", "chunk"])
def test_a_key_that_a_message_cuts_is_hidden(place: str, shown: int) -> None:
    long = "x" * (500 - shown) + KEY
    scripts: dict[str, Any] = {
        "message": answer({"error": {"message": long}}, 401),
        "code": answer({"error": {"message": "no", "code": long}}, 401),
        "request id": answer({"error": {"message": "no"}}, 401, {"X-Request-Id": long}),
        "location": answer(b"", 302, {"Location": "http://elsewhere.test/" + long[22:]}),
        "text": answer(("x" * (120 - shown) + KEY).encode()),
        "chunk": [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + b"x" * (38 - shown)
            + KEY.encode()
            + b"\r\n",
            CLOSE,
        ],
    }
    text = fail_with(scripts[place])
    assert "***…" in text
    assert PREFIX not in text


@row("4.5")
@pytest.mark.parametrize(
    "settings",
    [
        {"query": "?api-key=other-credential"},
        {"default_query": {"api-version": "1", "session": "other-credential"}},
        {"default_headers": {"X-Session": "other-credential"}},
        {"default_headers": {"X-Credential": "other-credential"}},
        {"default_headers": {"X-Auth-Sig": "other-credential"}},
        {"default_headers": {"X-Via": "Token other-credential"}},
    ],
    ids=str,
)
def test_every_credential_of_a_request_is_hidden(settings: dict[str, Any]) -> None:
    echo = answer({"error": {"message": f"you sent other-credential and {KEY}"}}, 401)
    text = fail_with(echo, **settings)
    assert "you sent *** and ***" in text
    assert "other-credential" not in text
    stream = streamed([event({"error": {"message": "you sent other-credential"}})])
    assert "other-credential" not in fail_with(stream, **settings)
