"""From options to the settings of a client."""

from collections.abc import Sequence
from typing import Any, Optional

from .precedence import Options
from .prompt import UsageError, read_file


def settings_of(options: Options) -> dict[str, Any]:
    """The arguments for `Client`, or for `config.load`; None is what they look up themselves.  Raises UsageError."""
    return {
        "base_url": options.base_url,
        "model": options.model,
        "timeout": options.timeout,
        "deadline": options.deadline,
        "max_retries": options.retries,
        "allow_http": options.allow_http,
        "default_headers": headers_of(options.header),
        "api_key": key_in(options.key_file),
    }


def key_in(path: Optional[str]) -> Optional[str]:
    """The key in a file; None without a file."""
    key = read_file(path).strip() if path is not None else None
    if key == "":
        raise UsageError(f"{path}: no key in it")
    return key


def headers_of(lines: Sequence[str]) -> dict[str, str]:
    """{'Name': 'value'} of lines 'Name: value'."""
    for line in lines:
        if ":" not in line:
            raise UsageError("-H wants 'Name: value'")
    return {
        name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
