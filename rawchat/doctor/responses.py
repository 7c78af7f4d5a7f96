"""The meaning of the HTTP responses of stage 1.  Pure: nothing is sent here."""

import difflib
import email.utils
import json
import time
from collections.abc import Mapping
from typing import Any, Optional
from urllib.parse import urlsplit

from . import adapter
from .proxies import proxy_cause
from .settings import PORTS, add_brackets
from .steps import Answer

MISSING_ENDPOINT = (404, 405, 501)


def build_request(
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Optional[bytes],
    absolute: bool,
    credentials: str,
) -> bytes:
    """Return an HTTP/1.1 request; its target is `absolute` where it goes to a proxy (RFC 9112, 3.2.2)."""
    parts = urlsplit(url)
    port = "" if parts.port in (None, PORTS[parts.scheme]) else f":{parts.port}"
    host = f"{add_brackets(parts.hostname or '')}{port}"
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    if absolute:
        target = f"{parts.scheme}://{host}{target}"
    fields = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
    fields = {"Host": host, **fields, "Accept-Encoding": "identity", "Connection": "close"}
    if credentials:
        fields["Proxy-Authorization"] = credentials
    if body is not None:
        fields["Content-Length"] = str(len(body))
    lines = [
        f"{method} {target} HTTP/1.1",
        *(f"{name}: {value}" for name, value in fields.items()),
        "",
        "",
    ]
    return "\r\n".join(lines).encode("latin-1") + (body or b"")


def judge_http(answer: Answer, through_proxy: bool) -> str:
    """Return the cause of a failure that a response shows; '' if HTTP works, whatever the key or model is worth."""
    status = answer.status
    if status == 407:
        return "proxy-authentication"
    if through_proxy and adapter.comes_from_proxy(status, answer.headers, answer.body):
        return proxy_cause(status)
    # A proxy that does not give itself away; the request id is a server's.
    if through_proxy and status in (502, 503, 504) and "x-request-id" not in answer.headers:
        return "proxy-upstream"
    if 300 <= status < 400:
        return "redirect"
    # nginx and Apache answer so to a plain request on a TLS port.
    if status == 400 and b"HTTPS port" in answer.body:
        return "tls-on-plain-port"
    if refuses_key(answer):
        return ""
    if status in MISSING_ENDPOINT:
        return "not-found"
    if status == 429:
        return "rate-limited"
    if status >= 500:
        return "server-error"
    if status >= 400:
        return "refused-request"
    if is_page(answer):
        return "web-page"
    if parse_json(answer.body) is None:
        return "not-json"
    return ""


def refuses_key(answer: Answer) -> bool:
    """Return whether a response is about the key: 401, 403, or LiteLLM's 400 for a key that it does not know."""
    return answer.status in (401, 403) or is_unknown_to_litellm(answer)


def is_unknown_to_litellm(answer: Answer) -> bool:
    """Return whether LiteLLM wants to look a key up in a database that it does not have."""
    return answer.status == 400 and b"no_db_connection" in answer.body


def judge_refusal(answer: Answer, has_key: bool) -> str:
    """Return the cause of a response that refuses the key."""
    if is_unknown_to_litellm(answer):
        return "key-unknown-to-litellm"
    if answer.status == 403 and is_page(answer):
        return "blocked"
    if not has_key:
        return "key-missing"
    return "key-refused" if answer.status == 401 else "forbidden"


def is_page(answer: Answer) -> bool:
    """Return whether the body is a web page."""
    return answer.body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def title_of(answer: Answer) -> str:
    """Return the title of a web page, as ' (…)'; '' without one."""
    text = answer.body.decode("utf-8", "replace")
    start = text.lower().find("<title>")
    end = text.lower().find("</title>")
    if start < 0 or end < start:
        return ""
    return f" ({shown_text(text[start + len('<title>') : end])})"


def shown_text(text: str, limit: int = 120) -> str:
    """Return text of the network on one line, without control characters."""
    folded = " ".join(text.split())
    clean = "".join(character if character.isprintable() else "?" for character in folded)
    return clean if len(clean) <= limit else clean[:limit] + "…"


def server_of(answer: Answer) -> str:
    """Return what the server calls itself, in brackets."""
    name = shown_text(answer.headers.get("server", ""), 60)
    return f"({name})" if name else ""


def parse_json(body: bytes) -> Any:
    """Return the JSON of a body; None if it is not JSON."""
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def model_ids(answer: Answer) -> list[str]:
    """Return the ids in a list of models: under `data`, under `models`, or a bare list."""
    payload = parse_json(answer.body)
    if isinstance(payload, dict):
        payload = payload.get("data") or payload.get("models")
    if not isinstance(payload, list):
        return []
    ids = []
    for item in payload:
        if isinstance(item, str):
            ids.append(item)
        elif isinstance(item, dict):
            ids.append(str(item.get("id") or item.get("name") or item.get("model") or ""))
    return [each for each in ids if each]


def is_about_model(answer: Answer) -> bool:
    """Return whether a refusal says that there is no such model."""
    text = answer.body.decode("utf-8", "replace").lower()
    return answer.status == 404 or "model" in text


def close_names(model: str, known: list[str]) -> str:
    """Return the names of the server's models that come next to `model`, as a part of a sentence."""
    if not known:
        return ""
    near = difflib.get_close_matches(model, known, n=3, cutoff=0.4) or known[:5]
    return ": " + ", ".join(shown_text(name, 80) for name in near)


def candidates(base_url: str) -> list[str]:
    """Return other base URLs of the same origin to try when this one does not work.

    >>> candidates("http://host/v2")
    ['http://host/v2/v1', 'http://host/v1', 'http://host/api/v1']
    """
    parts = urlsplit(base_url)
    origin = f"{parts.scheme}://{parts.netloc}"
    here = f"{origin}{parts.path}"
    above = here.rpartition("/")[0] if parts.path.count("/") > 1 else ""
    found = [f"{here}/v1", above, f"{origin}/v1", f"{origin}/api/v1"]
    return [url for url in dict.fromkeys(found) if url and url != here]


def parse_date(text: Optional[str]) -> Optional[float]:
    """Return an HTTP date in seconds since 1970 (RFC 9110, 5.6.7); None for a text that is not a date."""
    if not text:
        return None
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def duration(seconds: float) -> str:
    """Return a span of time in its largest unit.

    >>> duration(7200.0), duration(90.0)
    ('2 h', '90 s')
    """
    for unit, size in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def show_date(seconds: float) -> str:
    """Return a date and time (UTC) to the minute."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))
