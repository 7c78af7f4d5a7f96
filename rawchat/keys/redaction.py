"""Keep credentials out of everything that is shown: find those of a request, and replace them in texts and errors.

Servers echo keys, in any encoding, and messages are cut: `secret_forms` lists the encodings, `redact` knows the cuts.
"""

import binascii
import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Optional
from urllib.parse import quote, unquote

from ..errors import APIError
from ..urls import strip_userinfo
from ..wire import Request
from ..wire.headers import MIN_SECRET_LENGTH, SECRET_HEADER, is_credential

# A percent-encoded byte (RFC 3986, 2.1), whose digits may be lower case.
ESCAPE_IN_URL = re.compile("%[0-9A-F]{2}")

# What HTML writes for characters that mean something to it.
HTML_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}

# A query parameter that holds a credential: `?api-key=…`, the `sig` of a signed URL.
QUERY_SECRET = re.compile(
    r"(?i)([?&][^?=&#]*(?:key|auth|token|secret|sig|signature|passw(?:or)?d|credential|session|jwt)=)"
    r"([^&#]*)"
)

# The same by the value, whatever the name: `?k=sk-…`.
QUERY_SECRET_VALUE = re.compile(
    r"(?i)([?&][^?=&#]*=)(sk-[^&#]*|(?:bearer|basic)(?:%20|\+| )[^&#]*)"
)

# What `errors.one_line` puts in place of the text that it cuts off.
ELLIPSIS = "…"

#: characters at the beginning of a secret that are hidden where a text is cut; half of a shorter secret
MIN_PREFIX_LENGTH = 8

#: characters at the beginning of a secret that are hidden with what follows of it, wherever they stand: a body may end,
#: or be cut, within a key.  Longer than what the keys of one provider have in common: "sk-proj-".
SHOWN_PREFIX_LENGTH = 12


# ---- the credentials of a request


def request_secrets(request: Request) -> list[str]:
    """Return all credentials of `request`, in its headers and its URL, in every form in which a server may echo them.

    The longest come first, so that a secret that begins with another one is hidden whole.
    """
    return secret_forms([*header_secrets(request.headers), *url_secrets(request.url)])


def header_secrets(headers: Mapping[str, Optional[str]]) -> list[str]:
    """Return the values of those `headers` that carry a credential, with their scheme and without it.

    The name may match wire.headers.SECRET_HEADER, or name or value `is_credential`, which is wider: a value that is hidden
    needlessly does no harm.
    """
    found = []
    for name, value in headers.items():
        if not value or not (SECRET_HEADER.fullmatch(name) or is_credential(name, value)):
            continue
        found.append(value.split(" ", 1)[-1])
        found += basic_credentials(value)
        # "Authorization: Bearer ***" shows the scheme.
        if not name.lower().endswith("authorization"):
            found.append(value)
    return found


def secret_forms(credentials: Iterable[str]) -> list[str]:
    """Return `credentials` as they are, and as URLs, JSON, HTML and base64 write them, the longest first.

    Values shorter than MIN_SECRET_LENGTH are left out: a word like them may stand in any message.
    """
    forms = set()
    for secret in credentials:
        if len(secret) >= MIN_SECRET_LENGTH:
            in_json = json.dumps(secret)[1:-1]
            forms |= {
                secret,
                in_json,
                in_json.replace("/", "\\/"),
                in_html(secret),
                in_base64(secret),
            }
            for in_url in (quote(secret), quote(secret, safe="")):
                forms |= {in_url, ESCAPE_IN_URL.sub(lambda escape: escape[0].lower(), in_url)}
    return sorted(forms, key=len, reverse=True)


def in_html(text: str) -> str:
    """Return `text` as a page writes it; not by `html.escape`, whose module takes a millisecond to import."""
    for character, entity in HTML_ENTITIES.items():
        text = text.replace(character, entity)
    return text


def in_base64(text: str) -> str:
    """Return `text` in base64 without its last characters, which depend on what follows it."""
    encoded = binascii.b2a_base64(text.encode("utf-8", "surrogatepass"), newline=False).decode()
    return encoded[:-4]


def basic_credentials(authorization: str) -> list[str]:
    """Return user:password and the password of a header's value with the scheme Basic (RFC 7617), else []."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return []
    try:
        decoded = binascii.a2b_base64(encoded).decode("utf-8", "replace")
    except ValueError:
        return []
    return [decoded, decoded.partition(":")[2]]


def redact_url(url: str) -> str:
    """Return `url` without user:password@, and with the credentials in its query hidden.

    >>> redact_url("https://me:secret@h/v1?api-key=secret&a=b")
    'https://h/v1?api-key=***&a=b'
    """
    url = QUERY_SECRET.sub(r"\1***", strip_userinfo(url))
    return QUERY_SECRET_VALUE.sub(r"\1***", url)


def url_secrets(url: str) -> list[str]:
    """Return the credentials that `redact_url` hides, as they stand in `url` and decoded."""
    found = []
    for userinfo in re.findall(r"//([^/?#]*)@", url):
        user, _, password = userinfo.partition(":")
        # A token may stand in the place of the user.
        found.append(password or user)
    for _, value in QUERY_SECRET.findall(url) + QUERY_SECRET_VALUE.findall(url):
        found.append(value)
    return [form for value in found for form in sorted({value, unquote(value)})]


# ---- redact


def redact_error(secrets: Collection[str], error: APIError) -> None:
    """Replace `secrets` in every field of `error`, as servers echo keys; the text of `.partial` stays."""
    error.args = redact(secrets, error.args)
    for name, value in list(vars(error).items()):
        if name != "partial":
            setattr(error, name, redact(secrets, value))
    if error.partial is not None:
        error.partial.headers = redact(secrets, error.partial.headers)
    cause = repr(error.__cause__)
    if redact(secrets, cause) != cause:
        error.__cause__ = None


def redact(secrets: Collection[str], value: Any) -> Any:
    """Return `value` with every one of `secrets` replaced by ***, in texts and in all that containers hold.

    A message is cut before it arrives here: what is left of a secret is replaced too.
    """
    if isinstance(value, str):
        for secret in secrets:
            if secret:
                value = value.replace(secret, "***")
        value = redact_beginnings(secrets, value)
        if ELLIPSIS in value:
            return redact_cut(secrets, value)
        return value
    if isinstance(value, dict):
        items = {redact(secrets, name): redact(secrets, item) for name, item in value.items()}
        return type(value)(items)
    if isinstance(value, (list, tuple)):
        return type(value)(redact(secrets, item) for item in value)
    return value


def redact_beginnings(secrets: Collection[str], text: str) -> str:
    """Return `text` with every long beginning of a secret replaced by ***, with as much of the secret as follows."""
    for prefix in {secret[:SHOWN_PREFIX_LENGTH] for secret in secrets}:
        if len(prefix) < SHOWN_PREFIX_LENGTH or prefix not in text:
            continue
        rests = [secret[len(prefix) :] for secret in secrets if secret.startswith(prefix)]
        parts = text.split(prefix)
        for index, part in enumerate(parts[1:], 1):
            parts[index] = part[max(common_length(part, rest) for rest in rests) :]
        text = "***".join(parts)
    return text


def common_length(first: str, second: str) -> int:
    """Return the number of characters with which both texts begin."""
    length = 0
    for one, other in zip(first, second):
        if one != other:
            break
        length += 1
    return length


def redact_cut(secrets: Collection[str], text: str) -> str:
    """Return `text` with the beginning of a secret replaced by *** wherever it stands before an ellipsis."""
    parts = text.split(ELLIPSIS)
    for index, part in enumerate(parts[:-1]):
        length = max((prefix_length(secret, part) for secret in secrets), default=0)
        if length:
            parts[index] = part[:-length] + "***"
    return ELLIPSIS.join(parts)


def prefix_length(secret: str, text: str) -> int:
    """Return how much of the beginning of `secret` the end of `text` shows; 0 if it is too little to matter."""
    shortest = max(1, min(MIN_PREFIX_LENGTH, (len(secret) + 1) // 2))
    for length in range(min(len(secret), len(text)), shortest - 1, -1):
        if text.endswith(secret[:length]):
            return length
    return 0
