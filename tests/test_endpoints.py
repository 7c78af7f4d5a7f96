"""From arguments to a Request."""

import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

from rawchat import endpoints
from rawchat.config import load_config
from rawchat.endpoints import others
from rawchat.errors import ConfigError
from rawchat.wire import Request

row = pytest.mark.row
BASE = "https://h/v1"


def chat(
    messages: Any = "Hi", stream: bool = False, settings: Any = None, **params: Any
) -> Request:
    return endpoints.chat(
        load_config({"base_url": BASE, **(settings or {})}, {}), messages, params, stream
    )


def body(request: Request) -> Any:
    return json.loads(request.body or b"null")


@row("1.1")
@pytest.mark.parametrize(
    "base", ["https://h/proxy/v1", "https://h/proxy/v1/", "https://h/proxy/v1///"]
)
def test_the_paths_stand_under_the_base(base: str) -> None:
    settings = load_config({"base_url": base}, {})
    requests = [
        endpoints.chat(settings, "x", {}),
        others.completion(settings, "x", {}),
        others.moderation(settings, "x", {}),
        others.image(settings, "x", {}),
        others.models(settings, {}),
        others.model(settings, "m", {}),
    ]
    assert [(r.method, r.url) for r in requests] == [
        ("POST", "https://h/proxy/v1/chat/completions"),
        ("POST", "https://h/proxy/v1/completions"),
        ("POST", "https://h/proxy/v1/moderations"),
        ("POST", "https://h/proxy/v1/images/generations"),
        ("GET", "https://h/proxy/v1/models"),
        ("GET", "https://h/proxy/v1/models/m"),
    ]
    assert others.models(load_config({"base_url": "https://h"}, {}), {}).url == "https://h/models"


@row("1.2", "10.9")
def test_the_query_of_the_base_stays_and_more_is_added() -> None:
    settings = {
        "base_url": "https://h/v1?api-version=x&y",
        "default_query": {"a": 1, "b": True, "c": None},
    }
    request = chat(settings=settings, extra_query={"a": [1, "two words"], "d": False})
    assert (
        request.url
        == "https://h/v1/chat/completions?api-version=x&y&a=1&a=two%20words&b=true&d=false"
    )
    with pytest.raises(TypeError, match="query parameter 'a' cannot be a dict"):
        chat(extra_query={"a": {"b": 1}})


@row("1.3")
@pytest.mark.parametrize(
    ("id", "segment"),
    [
        ("gpt-4o", "gpt-4o"),
        ("org/model:ft 1", "org%2Fmodel:ft%201"),
        ("a?b#c%d", "a%3Fb%23c%25d"),
        ("ü", "%C3%BC"),
        ("..x", "..x"),
        ("%2e%2e", "%252e%252e"),
    ],
)
def test_a_model_id_is_one_segment(id: str, segment: str) -> None:
    assert (
        others.model(load_config({"base_url": BASE}, {}), id, {}).url == f"{BASE}/models/{segment}"
    )


@row("1.3")
@pytest.mark.parametrize("id", ["", ".", "..", None, 7, "\ud800"])
def test_an_id_that_names_no_model_is_refused(id: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="model id"):
        others.model(load_config({"base_url": BASE}, {}), id, {})


@row("1.4")
def test_the_headers_of_a_request() -> None:
    request = chat(settings={"organization": "o", "project": "p"}, stream=True)
    assert request.headers.pop("User-Agent").startswith("rawchat/")
    assert dict(request.headers) == {
        "Accept": "application/json",
        "Accept-Encoding": "gzip, deflate",
        "Content-Type": "application/json",
        "OpenAI-Organization": "o",
        "OpenAI-Project": "p",
    }
    assert "Content-Type" not in others.models(load_config({"base_url": BASE}, {}), {}).headers


@row("1.4")
def test_extra_headers_beat_default_headers_beat_the_built_in_ones() -> None:
    settings = {"default_headers": {"user-agent": "mine", "X-A": "1", "X-B": "2", "accept": None}}
    request = chat(settings=settings, extra_headers={"x-a": "3", "X-B": None})
    assert {name.lower(): value for name, value in request.headers.items()} == {
        "accept-encoding": "gzip, deflate",
        "content-type": "application/json",
        "user-agent": "mine",
        "x-a": "3",
    }
    assert chat(settings=settings).headers["x-b"] == "2"


@row("1.4")
def test_an_authorization_of_the_callers_keeps_the_key_out() -> None:
    assert chat().send_key
    assert not chat(extra_headers={"authorization": "Basic x"}).send_key
    assert not chat(settings={"default_headers": {"AUTHORIZATION": None}}).send_key


@row("1.4", "8.5")
@pytest.mark.parametrize(
    ("headers", "say"),
    [
        ({"X": "a\nEvil: 1"}, r"U\+000A at position 2"),
        ({"X": "a\x00"}, r"U\+0000"),
        ({"X": "€"}, r"U\+20AC at position 1"),
        ({"X Y": "1"}, "not a header name"),
        ({"X\n": "1"}, "not a header name"),
        ({"": "1"}, "not a header name"),
        ({"X": 1}, "must be a string, got int"),
        ({"X": b"secret"}, "must be a string, got bytes"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_without_its_value(headers: Any, say: str) -> None:
    with pytest.raises(ConfigError, match=say) as caught:
        chat(extra_headers=headers)
    assert "Evil" not in str(caught.value)
    assert "secret" not in str(caught.value)


@row("1.6")
def test_the_body_is_compact_utf8() -> None:
    request = chat("ü€😀", model="m", settings={"params": {"temperature": 0}})
    assert (
        request.body
        == ('{"model":"m","temperature":0,"messages":[{"role":"user","content":"ü€😀"}]}').encode()
    )


@row("1.6")
def test_params_pass_untouched_none_is_null_and_extra_body_wins() -> None:
    request = chat(
        temperature=1,
        seed=None,
        what_is_new={"deep": [1, None]},
        extra_body={"temperature": 2, "x": 1},
    )
    assert body(request) == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hi"}],
        "temperature": 2,
        "seed": None,
        "what_is_new": {"deep": [1, None]},
        "x": 1,
    }


@row("1.6")
def test_messages_are_a_text_a_list_or_anything_that_yields_messages() -> None:
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]

    def made() -> Iterator[dict[str, str]]:
        yield from messages

    for given in (messages, tuple(messages), made()):
        assert body(chat(given))["messages"] == messages
    for wrong in ({"role": "user", "content": "x"}, b"bytes"):
        with pytest.raises(TypeError, match="a list of messages"):
            chat(wrong)


@row("1.6")
def test_the_callers_values_are_not_changed() -> None:
    params = {"extra_body": {"a": 1}, "extra_headers": {"X": "1"}, "timeout": 3, "b": 2}
    before = dict(params)
    request = endpoints.chat(load_config({"base_url": BASE}, {}), "x", params)
    assert params == before
    assert (request.timeout, body(request)["b"], "timeout" in body(request)) == ((3, 3), 2, False)


@row("1.6", "1.7")
@pytest.mark.parametrize(
    ("value", "kind", "say"),
    [
        (b"x", TypeError, r"messages\[0\].content: bytes cannot be represented in JSON"),
        ({1, 2}, TypeError, r"messages\[0\].content: set"),
        (object, TypeError, r"messages\[0\].content"),
        (pathlib.Path("x"), TypeError, "Path cannot be represented"),
        (float("nan"), ValueError, r"messages\[0\].content: JSON has no nan"),
        (
            [{"text": [1, float("inf")]}],
            ValueError,
            r"messages\[0\].content\[0\].text\[1\]: JSON has no inf",
        ),
        (
            "ab\ud800c",
            ValueError,
            r"messages\[0\].content: lone surrogate U\+D800 at position 3",
        ),
    ],
)
def test_what_json_cannot_carry_is_refused_with_its_place(
    value: Any, kind: type[Exception], say: str
) -> None:
    with pytest.raises(kind, match=say):
        chat([{"role": "user", "content": value}])


@row("1.7")
def test_a_bad_name_and_a_loop_are_refused_too() -> None:
    with pytest.raises(ValueError, match="the name"):
        chat(metadata={"\ud800": "x"})
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ValueError, match="contains itself"):
        chat(metadata=loop)


def test_streaming_is_another_verb() -> None:
    assert body(chat(stream=True))["stream"] is True
    assert (
        body(endpoints.chat(load_config({"base_url": BASE}, {}), "x", {"stream": False}))["stream"]
        is False
    )
    for params in ({"stream": True}, {"extra_body": {"stream": True}}):
        with pytest.raises(TypeError, match="stream_chat"):
            endpoints.chat(load_config({"base_url": BASE}, {}), "x", params)


@row("10.1")
def test_the_default_model_belongs_to_chats_and_completions() -> None:
    named = load_config({"base_url": BASE, "model": "mine", "params": {"temperature": 0}}, {})
    assert body(endpoints.chat(named, "x", {}))["model"] == "mine"
    assert body(others.completion(named, "x", {}))["model"] == "mine"
    assert body(others.moderation(named, "x", {})) == {"input": "x"}
    assert body(others.image(named, "x", {"n": 2})) == {"prompt": "x", "n": 2}
    assert (
        body(others.completion(load_config({"base_url": BASE}, {}), "x", {}))["model"]
        == "gpt-3.5-turbo-instruct"
    )


def test_a_get_has_no_body() -> None:
    settings = load_config({"base_url": BASE}, {})
    assert others.models(settings, {"extra_query": {"limit": 3}}).url == f"{BASE}/models?limit=3"
    assert others.models(settings, {}).body is None
    with pytest.raises(TypeError, match="extra_query"):
        others.models(settings, {"limit": 3})


@pytest.mark.parametrize(
    ("messages", "kind"),
    [(None, "None"), (3, "int"), (b"Hi", "bytes"), ({"role": "user"}, "one message")],
)
def test_messages_that_are_none_are_refused_in_the_words_of_the_caller(
    messages: Any, kind: str
) -> None:
    with pytest.raises(TypeError, match=f"^messages must be a str or a list .*, got {kind}"):
        endpoints.chat(load_config({"base_url": BASE}, {}), messages, {})


@pytest.mark.parametrize("message", [3, None, "Hi", ["Hi"]])
def test_a_message_that_is_none_is_named_by_its_place(message: Any) -> None:
    with pytest.raises(TypeError, match=r"^messages\[1\] must be a message"):
        endpoints.chat(load_config({"base_url": BASE}, {}), [{"role": "user"}, message], {})
