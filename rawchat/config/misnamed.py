"""Refuse a body parameter that is probably meant to be a setting of the client: misspelt, or named as elsewhere.

It would be sent in every body, a key included, and have no effect here.
"""

import re
from collections.abc import Collection, Mapping
from typing import Any, Optional

# The settings -> their names in other libraries, in lower case without underscores and a final s.
FOREIGN_NAMES = {
    "api_key": [
        "key",
        "token",
        "accesstoken",
        "bearer",
        "bearertoken",
        "accesskey",
        "secret",
        "apisecret",
        "auth",
        "authorization",
        "credential",
        "password",
        "apitoken",
        "secretkey",
        "openaikey",
        "openaiapikey",
        "authtoken",
    ],
    "base_url": [
        "url",
        "host",
        "endpoint",
        "apibase",
        "openaiapibase",
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

# Names under which a caller may try to pass a key or a base URL to one call, in lower case without separators.
CREDENTIAL_SETTINGS = {
    "apikey",
    "openaiapikey",
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
    "baseurl",
    "apibase",
    "openaiapibase",
    "openaibaseurl",
}

#: similarity from which a name counts as a misspelling: four of five letters agree
SPELLING_CUTOFF = 0.8

KEY_OR_URL = re.compile(r"\s*(?:(?P<key>sk-\S|bearer\s+\S)|https?://)", re.IGNORECASE)


class MisnamedError(TypeError):
    """A body parameter is probably meant to be a setting."""


def check_params(params: Mapping[str, Any], settings: Collection[str]) -> None:
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
        meant = closest_setting(name, settings)
        if meant:
            raise MisnamedError(
                f"{name}= is not a setting of the client; did you mean {meant}=? {advice}"
            )
        if name in BODY_PARAMETERS or not isinstance(value, str):
            continue
        match = KEY_OR_URL.match(value)
        if match is None:
            continue
        kind, meant = ("an API key", "api_key") if match["key"] else ("a URL", "base_url")
        raise MisnamedError(
            f"{name}= is not a setting of the client, and its value looks like {kind}; "
            f"did you mean {meant}=? {advice}"
        )


def closest_setting(name: str, settings: Collection[str]) -> Optional[str]:
    """Return the setting that `name` was probably meant to be, or None for a body parameter.

    Case, underscores and a plural do not count; beyond that, four of five letters have to agree.

    >>> closest_setting("apiKeys", ["api_key", "base_url"]), closest_setting("base_ulr", ["api_key", "base_url"])
    ('api_key', 'base_url')
    >>> closest_setting("temperature", ["timeout", "transport"])
    """
    if name in BODY_PARAMETERS:
        return None
    import difflib  # here, not above: few clients have parameters

    settings_by_letters = {setting.replace("_", "").rstrip("s"): setting for setting in settings}
    letters = name.replace("_", "").replace("-", "").lower().rstrip("s")
    matches = difflib.get_close_matches(letters, settings_by_letters, 1, SPELLING_CUTOFF)
    if matches:
        return settings_by_letters[matches[0]]
    return ALIASES.get(letters)


def check_call_params(params: Mapping[str, Any]) -> None:
    """Raise MisnamedError if a body parameter of a call is named like a key or a base URL."""
    for name in params:
        if name.replace("_", "").replace("-", "").lower() in CREDENTIAL_SETTINGS:
            raise MisnamedError(
                f"{name}= is a setting of the client, not of a call: nothing was sent "
                f"(if the server wants it, use extra_body={{{name!r}: ...}})"
            )
