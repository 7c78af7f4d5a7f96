"""Keep credentials out of everything that is shown: find those of a request, and replace them in texts and errors.

Servers echo keys, in any encoding, and messages are cut: `secret_forms` lists the encodings, `redact` knows the cuts.
"""

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Optional
from urllib.parse import quote, unquote

from ..errors import APIError
from ..urls import strip_userinfo
from ..wire import Request
from ..wire.headers import MIN_SECRET_LENGTH, SECRET_HEADER

# A word in the name of a header or query parameter that makes its value a credential.
CREDENTIAL_NAME = re.compile(
    r"(?<!idempotency[-_])key|auth|token|secret|passw|cookie|credential|session|signature|jwt"
    r"|bearer|(?<![a-z])sig(?![a-z])",
    re.IGNORECASE,
)

# The form of a value that makes it a credential, whatever its name.
CREDENTIAL_VALUE = re.compile(
    r"\s*(?:bearer|basic|digest|negotiate|api-?key|token)\s+\S|\s*sk-\S", re.IGNORECASE
)

# A query parameter that holds a credential: `?api-key=…`, the `sig` of a signed URL.
QUERY_SECRET = re.compile(
    r"(?i)([?&][^?=&#]*(?:key|auth|token|secret|sig|signature|passw(?:or)?d|credential|session|jwt)=)"
    r"([^&#]*)"
)

# What `errors.one_line` puts in place of the text that it cuts off.
ELLIPSIS = "…"

#: characters at the beginning of a secret that are hidden where a text is cut; half of a shorter secret
MIN_PREFIX_LENGTH = 8


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
        # "Authorization: Bearer ***" shows the scheme.
        if not name.lower().endswith("authorization"):
            found.append(value)
    return found


def secret_forms(credentials: Iterable[str]) -> list[str]:
    """Return `credentials` as they are, percent-encoded and as JSON writes them, the longest first.

    Values shorter than MIN_SECRET_LENGTH are left out: a word like them may stand in any message.
    """
    forms = set()
    for secret in credentials:
        if len(secret) >= MIN_SECRET_LENGTH:
            in_json = json.dumps(secret)[1:-1]
            forms |= {secret, quote(secret, safe=""), in_json, in_json.replace("/", "\\/")}
    return sorted(forms, key=len, reverse=True)


def redact_url(url: str) -> str:
    """Return `url` without user:password@, and with the credentials in its query hidden.

    >>> redact_url("https://me:secret@h/v1?api-key=secret&a=b")
    'https://h/v1?api-key=***&a=b'
    """
    return QUERY_SECRET.sub(r"\1***", strip_userinfo(url))


def url_secrets(url: str) -> list[str]:
    """Return the credentials that `redact_url` hides, as they stand in `url` and decoded."""
    found = []
    for userinfo in re.findall(r"//([^/?#]*)@", url):
        user, _, password = userinfo.partition(":")
        # A token may stand in the place of the user.
        found.append(password or user)
    for _, value in QUERY_SECRET.findall(url):
        found.append(value)
    return [form for value in found for form in sorted({value, unquote(value)})]


def is_credential(name: str, value: Any) -> bool:
    """Return True if a header or query parameter carries a credential; None and "" carry none.

    This is wider than wire.headers.SECRET_HEADER, which decides what is hidden.  A false positive here costs one clear error,
    a false negative a key.
    """
    if value is None or value == "":
        return False
    if isinstance(value, (list, tuple)):
        return any(is_credential(name, item) for item in value)
    if CREDENTIAL_NAME.search(str(name)):
        return True
    return CREDENTIAL_VALUE.match(str(value)) is not None


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

    A message is cut before it arrives here: what an ellipsis left of a secret is replaced too.
    """
    if isinstance(value, str):
        for secret in secrets:
            if secret:
                value = value.replace(secret, "***")
        if ELLIPSIS in value:
            return redact_cut(secrets, value)
        return value
    if isinstance(value, dict):
        items = {redact(secrets, name): redact(secrets, item) for name, item in value.items()}
        return type(value)(items)
    if isinstance(value, (list, tuple)):
        return type(value)(redact(secrets, item) for item in value)
    return value


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
