"""Refuse a body parameter that is probably meant to be a setting of the client: misspelt, or named as elsewhere.

It would be sent in every body, even if it is a key, and have no effect here.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Optional

from .checks import SETTING_TYPES

# The settings -> their names in other libraries, in lower case without underscores and a final s.
FOREIGN_NAMES = {
    "api_key": [
        "key",
        "token",
        "auth",
        "credential",
        "openaikey",
    ],
    "base_url": [
        "url",
        "host",
        "endpoint",
        "apiurl",
        "apiendpoint",
        "apihost",
        "azureendpoint",
        "endpointurl",
        "hostname",
        "server",
        "serverurl",
        "uri",
    ],
    "default_headers": [
        "header",
        "extraheader",
    ],
    "default_query": [
        "query",
        "extraquery",
    ],
    "organization": [
        "org",
        "orgid",
        "organizationid",
    ],
    "max_retries": [
        "retry",
        "numretrie",
        "retrycount",
    ],
    "timeout": [
        "requesttimeout",
        "readtimeout",
        "connecttimeout",
    ],
    "transport": [
        "httpclient",
        "session",
    ],
    "proxy": [
        "proxie",
        "httpproxy",
        "httpsproxy",
    ],
    "ca_bundle": [
        "verify",
        "verifyssl",
        "sslverify",
        "cacert",
    ],
}

ALIASES = {name: setting for setting, names in FOREIGN_NAMES.items() for name in names}

# Body parameters with names close to a setting's; they are never refused.
BODY_PARAMETERS = {"mode", "model_id", "models", "project_id", "transforms", "user", "tokens"}

# Ends of names of a key or a base URL, in lower case without separators: `azure_api_key`, `openai_base_url`.  A token is
# one only if its value looks like it: servers take `eos_token`, `timings_per_token`.
KEY_ENDINGS = (
    "apikey",
    "apitoken",
    "accesstoken",
    "authtoken",
    "bearertoken",
    "bearer",
    "authorization",
    "password",
    "secret",
    "secretkey",
    "accesskey",
)
BASE_URL_ENDINGS = ("baseurl", "apibase")
TOKEN_VALUE = re.compile(r"[\w.~+/=-]{16,}")

# The settings that a call takes too, and those that it has under another name.
CALL_OPTIONS = {
    "model": "model",
    "timeout": "timeout",
    "default_headers": "extra_headers",
    "default_query": "extra_query",
}

# Parameters of most calls, which are not compared with every setting.
COMMON_PARAMETERS = {
    "max_completion_tokens",
    "max_tokens",
    "model",
    "n",
    "reasoning_effort",
    "response_format",
    "seed",
    "stop",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
    "user",
}

#: similarity from which a name counts as a misspelling: four of five letters agree
SPELLING_CUTOFF = 0.8

KEY_OR_URL = re.compile(r"\s*(?:(?P<key>sk-\S|bearer\s+\S)|https?://)", re.IGNORECASE)


class MisnamedError(TypeError):
    """A body parameter is probably meant to be a setting."""


def check_params(params: Mapping[str, Any]) -> None:
    """Raise MisnamedError if one of the body parameters given to a client is a misspelt setting, a key, or a URL.

    A misspelt setting would be sent in every body, api_key with its key, and would have no effect here.  The message
    names the setting that was probably meant, and never shows the value.
    """
    for name, value in params.items():
        if name == "extra_body":
            raise MisnamedError(
                "extra_body= is not a setting of the client: pass its entries as parameters of the client, "
                "or extra_body= in each call"
            )
        advice = f"(if the server wants it, use extra_body={{{name!r}: ...}} in each call)"
        meant = closest_setting(name)
        if meant:
            raise MisnamedError(
                f"{name}= is not a setting of the client; did you mean {meant}=? {advice}"
            )
        found = value_kind(name, value)
        if found:
            kind, meant = found
            raise MisnamedError(
                f"{name}= is not a setting of the client, and its value looks like {kind}; "
                f"did you mean {meant}=? {advice}"
            )


def value_kind(name: str, value: Any) -> Optional[tuple[str, str]]:
    """Return what the value of a body parameter looks like, and the setting that it is for; None for anything else."""
    if name in BODY_PARAMETERS or not isinstance(value, str):
        return None
    match = KEY_OR_URL.match(value)
    is_token = letters_of(name).endswith("token") and TOKEN_VALUE.fullmatch(value)
    if is_token or (match and match["key"]):
        return "an API key", "api_key"
    if match:
        return "a URL", "base_url"
    return None


@functools.lru_cache(maxsize=1024)  # most calls of a program have the same few parameters
def closest_setting(name: str) -> Optional[str]:
    """Return the setting that `name` was probably meant to be, or None for a body parameter.

    Case, underscores and a plural do not count; beyond that, four of five letters have to agree.

    >>> closest_setting("apiKeys"), closest_setting("base_ulr"), closest_setting("azure_api_key")
    ('api_key', 'base_url', 'api_key')
    >>> closest_setting("temperature")
    """
    if name in BODY_PARAMETERS:
        return None
    letters = letters_of(name)
    if letters.endswith(KEY_ENDINGS):
        return "api_key"
    if letters.endswith(BASE_URL_ENDINGS):
        return "base_url"
    import difflib  # here, not above: few clients have parameters

    settings_by_letters = {letters_of(setting): setting for setting in SETTING_TYPES}
    matches = difflib.get_close_matches(letters, settings_by_letters, 1, SPELLING_CUTOFF)
    if matches:
        return settings_by_letters[matches[0]]
    return ALIASES.get(letters)


def letters_of(name: str) -> str:
    """Return what counts of a name: its letters in lower case, without a plural's s."""
    return name.replace("_", "").replace("-", "").lower().rstrip("s")


def check_call_params(params: Mapping[str, Any]) -> None:
    """Raise MisnamedError if a body parameter of a chat or a completion is a setting of the client, misspelt or not.

    What its value looks like does not count: a prompt may begin with any word.
    """
    for name in params:
        if name in COMMON_PARAMETERS:
            continue
        meant = closest_setting(name)
        if meant in CALL_OPTIONS:
            raise MisnamedError(
                f"{name}= is not a parameter of a call; did you mean {CALL_OPTIONS[meant]}=? {call_advice(name)}"
            )
        if meant:
            raise misplaced_setting(name, meant)


def check_any_params(params: Mapping[str, Any]) -> None:
    """Raise MisnamedError if a parameter of a call to any path is named like a key or a base URL.

    Other settings are not looked for: a path may take a `project`, a `query` or a `url`.
    """
    for name in params:
        letters = letters_of(name)
        if letters.endswith(KEY_ENDINGS):
            raise misplaced_setting(name, "api_key")
        if letters.endswith(BASE_URL_ENDINGS):
            raise misplaced_setting(name, "base_url")


def misplaced_setting(name: str, meant: str) -> MisnamedError:
    """Return the error about a setting of the client that was given to a call."""
    return MisnamedError(
        f"{name}= is a setting of the client ({meant}=), not of a call: nothing was sent {call_advice(name)}"
    )


def call_advice(name: str) -> str:
    """Return how to send such a parameter to a server that does want it."""
    return f"(if the server wants it, use extra_body={{{name!r}: ...}})"


# ---- options of the commands


def describe_unknown_option(word: str, known: Sequence[str]) -> str:
    """Return the error for an option that no command line has; it suggests the `known` one that was probably meant.

    The value of --api-key=… and the like is not repeated.
    """
    flag = word.partition("=")[0]
    if flag.startswith("--") and "key" in flag:
        return f"no such option: {flag}; set OPENAI_API_KEY or use --key-file FILE"
    return f"no such option: {flag}{suggestion(flag, known)}"


def suggestion(name: str, known: Sequence[str], prefix: str = "") -> str:
    """Return " (did you mean …?)" for the known name that is most like `name`, else " (see --help)".

    A `prefix` that all names share is left out of `name` and `known`: it would make any two alike.
    """
    import difflib

    candidates = [each for each in known if len(name) > 2 and each.startswith(name)]
    candidates += difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    if not candidates:
        return " (see --help)"
    return f" (did you mean {prefix}{candidates[0]}?)"


# ---- the SDK's chains of attributes

#: The resources of the SDK's client, each with the verb that does the same here.
SDK_RESOURCES = {
    "audio": "transcribe(…) or client.speak(…)",
    "batches": 'post("/batches", {…})',
    "beta": "post(path, {…})",
    "chat.completions": "chat(…) or client.stream_chat(…)",
    "completions": "complete(…)",
    "embeddings": "embed(…)",
    "files": 'post("/files", {…})',
    "images": "image(…)",
    "moderations": "moderate(…)",
    "responses": 'post("/responses", {…})',
}


def no_such_attribute(client: object, name: str) -> NoReturn:
    """Raise AttributeError for an attribute that a client does not have; one of the SDK's is named by its verb here.

    A class takes this as its `__getattr__`.
    """
    message = f"{type(client).__name__!r} object has no attribute {name!r}"
    if name in SDK_RESOURCES:
        message += f": use client.{SDK_RESOURCES[name]}; see docs/from-the-sdk.md"
    raise AttributeError(message)


class SdkResource:
    """`completions` of `client.chat`: the verb is a method, so an attribute of it explains what to call."""

    def __getattr__(self, name: str) -> NoReturn:
        """Raise AttributeError, which names the verb."""
        use = SDK_RESOURCES["chat.completions"]
        raise AttributeError(
            f"there is no client.chat.completions.{name}: use client.{use}; see docs/from-the-sdk.md"
        )
