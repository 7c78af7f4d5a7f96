"""Requests to any path: where they go, what they carry, and what never leaves."""

from typing import Any

import pytest

import rawchat
from rawchat.config import load_config
from rawchat.resources.build import build_request
from rawchat.wire import Request

row = pytest.mark.row

KEY = "sk-1234567890"


def config(base_url: str = "https://h/v1", **settings: Any) -> Any:
    return load_config({"api_key": KEY, "base_url": base_url, **settings}, {})


def request(
    path: str, body: Any = None, method: str = "POST", settings: Any = None, **params: Any
) -> Request:
    return build_request(settings or config(), method, path, body, params)


@row("14.1")
@pytest.mark.parametrize(
    ("base_url", "path", "url"),
    [
        ("https://h/v1", "/embeddings", "https://h/v1/embeddings"),
        ("https://h/v1", "embeddings", "https://h/v1/embeddings"),
        ("https://h/p/v1/", "/a/b?x=1", "https://h/p/v1/a/b?x=1&d=2"),
        ("https://h/v1?api-version=x", "/a?y=1", "https://h/v1/a?api-version=x&y=1&d=2"),
        ("https://h/v1", "/files/a b/é#1", "https://h/v1/files/a%20b/%C3%A9%231"),
        ("https://h/v1", "/a%2Fb", "https://h/v1/a%2Fb"),
        ("https://h/v1", "https://h/other?x=1", "https://h/other?x=1&d=2"),
        ("https://h/v1?d=1", "https://h/other?d=3", "https://h/other?d=3"),
        ("https://h/v1?k=1", "https://h:443/v1/x", "https://h:443/v1/x?k=1&d=2"),
        ("https://h/v1?k=1", "https://other/x?y=1", "https://other/x?y=1"),
    ],
)
def test_where_a_path_leads(base_url: str, path: str, url: str) -> None:
    settings = config(base_url)
    if "d=2" in url or "other?d" in path or path.startswith("https://other"):
        settings = config(base_url, default_query={"d": 2})
    assert request(path, settings=settings).url == url


@pytest.mark.parametrize(
    "path",
    [
        "/../admin",
        "/files/../../x",
        "/a/%2e%2E/b",
        "/.",
        "//other/x",
        "ftp://h/x",
        "https://",
        "x://",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"path|URL"):
        request(path)


def test_a_url_with_a_password_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="must not hold user:password@") as caught:
        request("https://me:hunter2@other/x")
    assert "hunter2" not in str(caught.value)


@row("14.2")
def test_another_origin_gets_nothing_of_the_clients() -> None:
    settings = config(
        "https://h/v1?api-key=secret1",
        organization="org-1",
        default_headers={"X-Api-Key": "secret2", "X-Trace": "1"},
        default_query={"token": "secret3"},
    )
    sent = request("https://other/x", {"a": 1}, settings=settings, extra_headers={"X-Mine": "1"})
    assert sorted(sent.headers) == [
        "Accept",
        "Accept-Encoding",
        "Content-Type",
        "User-Agent",
        "X-Mine",
    ]
    assert sent.url == "https://other/x"
    ours = request("https://h/y", {"a": 1}, settings=settings)
    assert (ours.headers["X-Api-Key"], ours.headers["OpenAI-Organization"]) == ("secret2", "org-1")


def test_a_credential_goes_unencrypted_to_no_other_machine() -> None:
    with pytest.raises(rawchat.ConfigError, match="unencrypted"):
        request("http://other/x", extra_headers={"X-Api-Key": "secret1"})
    assert request("http://other/x").url == "http://other/x"
    allowed = config("http://lan/v1", allow_http=True)
    request("http://other/x", settings=allowed, extra_headers={"X-Api-Key": "secret1"})


@pytest.mark.parametrize(
    ("body", "params", "sent", "content_type"),
    [
        ({"a": 1}, {}, b'{"a":1}', "application/json"),
        ({"a": 1}, {"b": 2}, b'{"a":1,"b":2}', "application/json"),
        (None, {"b": 2}, b'{"b":2}', "application/json"),
        ({"a": 1}, {"extra_body": {"a": 2}}, b'{"a":2}', "application/json"),
        ({"a": None}, {}, b'{"a":null}', "application/json"),
        ([1, "x"], {}, b'[1,"x"]', "application/json"),
        (b"raw", {}, b"raw", "application/octet-stream"),
        (b"raw", {"extra_headers": {"content-type": "audio/wav"}}, b"raw", "audio/wav"),
        ({}, {}, b"{}", "application/json"),
        (None, {}, None, None),
    ],
)
def test_bodies(body: Any, params: Any, sent: Any, content_type: Any) -> None:
    built = request("/x", body, **params)
    assert (built.body, built.headers.get("content-type")) == (sent, content_type)


def test_parameters_for_chats_are_not_added() -> None:
    settings = config(model="gpt-4o")._replace(params={"temperature": 0})
    assert request("/x", {"a": 1}, settings=settings).body == b'{"a":1}'


def test_several_models_are_tried_in_turn() -> None:
    built = request("/x", {"model": ["a", "b"]})
    assert [built.body, built.fallbacks[0].body] == [b'{"model":"a"}', b'{"model":"b"}']


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_parameters_without_a_body_go_into_the_query(method: str) -> None:
    built = request("/files?a=1", None, method, limit=2, after=None, include=["x", "y"], all=True)
    assert built.url == "https://h/v1/files?a=1&limit=2&include%5B%5D=x&include%5B%5D=y&all=true"
    assert built.body is None
    assert "content-type" not in built.headers


def test_a_form_is_asked_for_by_a_file_or_by_a_header() -> None:
    built = request("/x", {"a": 1}, extra_headers={"Content-Type": "multipart/form-data"})
    assert built.headers["content-type"].startswith("multipart/form-data; boundary=")
    with_file = request(
        "/x", {"f": ("a", b"x")}, settings=config(default_headers={"Content-Type": "x/y"})
    )
    assert with_file.headers["content-type"].startswith("multipart/form-data; boundary=")
    for sent in (built, with_file):
        assert sent.body is not None
        assert not isinstance(sent.body, bytes)
        assert sent.body.length == len(b"".join(sent.body.open()))


@pytest.mark.parametrize(
    ("body", "params", "message"),
    [
        (b"x", {"a": 1}, "only a dict body takes further parameters: a"),
        (1, {}, "body must be a dict, a list or bytes, got int"),
        ("text", {}, "got str"),
        ({"a": {1}}, {}, "a: set cannot be represented in JSON"),
        ({"a": b"x"}, {}, "a: bytes cannot be represented in JSON"),
        ({}, {"api_key": "sk-1"}, "a setting of the client"),
        ({}, {"extra_headers": 1}, "extra_headers must be a dict"),
    ],
)
def test_what_is_no_body_is_refused(body: Any, params: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        request("/x", body, **params)


def test_a_path_is_a_text() -> None:
    with pytest.raises(TypeError, match="path must be a str, got int"):
        request(1)  # type: ignore[arg-type]
