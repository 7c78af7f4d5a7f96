"""Where requests go: origins, redirections, queries.  What a whole client makes of them is in test_endpoints.py."""

from typing import Any, Optional

import pytest

from rawchat import urls
from rawchat.errors import ConfigError

row = pytest.mark.row


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://h/a", "https://h:443/b?c", True),
        ("http://h/", "https://h/", False),
        ("http://h/", "http://h:81/", False),
        ("http://H/", "http://h/", True),
        ("http://h/", "http://h.evil/", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (urls.origin(one) == urls.origin(other)) is same


@row("2.6")
@pytest.mark.parametrize(
    ("method", "status", "location", "target"),
    [
        ("POST", 307, "/v2", "http://h/v2"),
        ("POST", 308, "http://h:80/v2#part", "http://h:80/v2"),
        ("GET", 302, "?page=2", "http://h/v1?page=2"),
        ("POST", 302, "/v2", None),
        ("POST", 307, "http://other/v1", None),
        ("GET", 301, "https://h/v1", None),
        ("GET", 301, "http://[", None),
        ("GET", 301, None, None),
        ("GET", 200, "/v2", None),
    ],
)
def test_only_what_keeps_method_body_and_origin_is_followed(
    method: str, status: int, location: Optional[str], target: Optional[str]
) -> None:
    assert urls.redirect_target(method, "http://h/v1", status, location) == target


@pytest.mark.parametrize(
    ("base_url", "query", "whole"),
    [
        (
            "https://h/v1?a=%20b",
            {"c": ["x y", 1], "d": True, "e": None},
            "https://h/v1/models?a=%20b&c=x%20y&c=1&d=true",
        ),
        ("https://h/v1", {}, "https://h/v1/models"),
    ],
)
def test_a_query_comes_after_that_of_base_url(
    base_url: str, query: dict[str, Any], whole: str
) -> None:
    assert urls.join_url(base_url, "/models", query) == whole


@pytest.mark.parametrize("status", range(300, 310))
def test_which_redirections_are_followed(status: int) -> None:
    followed = {"GET": {301, 302, 303, 307, 308}, "POST": {307, 308}}
    for method, statuses in followed.items():
        target = urls.redirect_target(method, "http://h/v1", status, "/v2")
        assert target == ("http://h/v2" if status in statuses else None), method


@pytest.mark.parametrize(
    "target",
    [
        "http://evil.example\\@good.example/v1",
        "http://good.example\\.evil.example/v1",
        "//evil.example\\@good.example/",
    ],
)
def test_a_backslash_in_a_host_is_no_part_of_our_origin(target: str) -> None:
    # urlsplit and urllib3 read different hosts in it
    home = "http://good.example/v1/chat"
    assert urls.redirect_target("POST", home, 307, target) is None
    assert urls.origin(target) != urls.origin(home)
    if target.startswith("http"):
        with pytest.raises(ConfigError, match="not an http:// or https:// URL"):
            urls.validate_base_url(target)
