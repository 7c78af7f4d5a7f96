"""Every setting of a client with every kind of wrong value: it works, or one clear error says what is wrong."""

import json
import threading
from typing import Any

import pytest

import rawchat
from rawchat.config.checks import SETTING_TYPES
from rawchat.errors import ConfigError, RawchatError
from rawchat.transport.proxies import bypasses_proxy
from rawchat.wire import Request, Response

row = pytest.mark.row

#: nothing listens there
CLOSED = "http://127.0.0.1:9/v1"
SECRET = "sk-hunter2hunter2"
HUGE = 10**5000

SETTINGS = list(SETTING_TYPES)

VALUES: list[Any] = [
    *(0, -1, 1.5, True, False, float("nan"), float("inf"), 1e300, HUGE, -HUGE),
    *("", SECRET, "\u00b2", "a\nb", "a\0b", "\ud800", "http://[", "http://127.0.0.1:99999"),
    *(b"", SECRET.encode(), [], [SECRET], [None], [1], (), (1, SECRET), (1, HUGE), (None, HUGE)),
    *({}, {1: 2}, {"X": 1}, {"X": "a\nb"}, {"X": b"x"}, {"X": None}, {"X": object()}),
    *({SECRET}, object(), object, iter(()), memoryview(b"x")),
]


def reply(request: Request) -> Response:
    body = json.dumps({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})
    return Response(200, {"content-type": "application/json"}, [body.encode()])


def failures(name: str, value: Any, **settings: Any) -> str:
    """Use a client with this setting; return what is wrong with the error that it raises, "" if nothing is."""
    given = {"base_url": CLOSED, "max_retries": 0, "environ": {}, **settings, name: value}
    try:
        rawchat.Client(**given).chat("Hi")
    except (RawchatError, TypeError, ValueError) as error:
        text = str(error)
        ours = isinstance(error, RawchatError) or raised_by_us(error)
        if ours and "\n" not in text and SECRET not in text:
            return ""
        return f"{name}={value!r}: {type(error).__name__}: {text}"
    except Exception as error:
        return f"{name}={value!r}: {type(error).__name__}: {error}"
    return ""


def raised_by_us(error: BaseException) -> bool:
    """Return True for a TypeError or ValueError about a value that JSON or a query cannot represent."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next is not None:
        frames = frames.tb_next
    assert frames is not None
    return frames.tb_frame.f_code.co_name in ("encode_json", "query_values")


@row("1.5", "10.9")
@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_value_is_one_clear_error(name: str) -> None:
    values = VALUES
    if name in ("transport", "on_reply", "sleep", "random", "now", "clock"):
        # whatever can be called is a function: what it raises is its own
        values = [value for value in VALUES if not callable(value)]
    found = [
        failures(name, value, **({} if name == "transport" else {"transport": reply}))
        for value in values
    ]
    assert [text for text in found if text] == []


@row("1.5", "8.7")
@pytest.mark.parametrize(
    "name",
    ["base_url", "timeout", "deadline", "max_bytes", "default_headers", "default_query", "proxy"],
)
def test_a_wrong_value_is_one_clear_error_on_the_network_too(name: str) -> None:
    """Nothing goes beyond this machine: the values name no host that could be looked up."""
    values = [value for value in VALUES if name != "proxy" or value != SECRET]
    found = [failures(name, value) for value in values if value != "" or name != "base_url"]
    assert [text for text in found if text] == []


@pytest.mark.parametrize("name", ["timeout", "deadline", "rotate_after"])
def test_the_longest_time_is_what_this_machine_can_wait(name: str) -> None:
    longest = threading.TIMEOUT_MAX
    assert failures(name, longest) == ""
    with pytest.raises(ConfigError, match=name):
        rawchat.Client(base_url=CLOSED, environ={}, **{name: longest * 1.01})


@pytest.mark.parametrize("port", ["\u00b2", "\u0664", "9" * 5000, "-1"])
def test_a_port_in_no_proxy_that_is_no_number_excepts_nothing(port: str) -> None:
    assert not bypasses_proxy("https://example.com/v1", f"example.com:{port}")
    assert bypasses_proxy("https://example.com/v1", f"example.com:{port},example.com:443")


@row("1.5")
@pytest.mark.parametrize("name", ["extra_headers", "extra_query", "extra_body"])
@pytest.mark.parametrize("value", [["X: y"], "X: y", 1, {1: "x"}, {None: "x"}])
def test_a_wrong_value_in_a_call_is_one_clear_error(name: str, value: Any) -> None:
    client = rawchat.Client(base_url=CLOSED, environ={}, transport=reply)
    with pytest.raises(TypeError, match=f"^{name}"):
        client.chat("Hi", **{name: value})
    with pytest.raises(TypeError, match=f"^{name}"):
        client.post("/chat/completions", {"messages": []}, **{name: value})


def test_the_type_of_a_wrong_value_is_named() -> None:
    for name, value, message in (
        ("default_headers", ["X: y"], "default_headers must be a dict, got list"),
        ("default_headers", {1: "x"}, "default_headers must be a dict of str, got int in it"),
        ("proxy", 8080, "proxy must be a str, got int"),
        ("model", ["m", None], "model must be a str or a list of str, got NoneType in it"),
        ("environ", {"X": 1}, "environ must be a dict of str, got int in it"),
        ("allow_http", "no", "allow_http must be True or False, got str"),
    ):
        with pytest.raises(ConfigError) as caught:
            rawchat.Client(**{"base_url": CLOSED, "environ": {}, name: value})
        assert str(caught.value) == message
