"""Turn a row of the input into its Request, and its outcome into a line of the output: OpenAI's Batch format.

>>> Row(7, '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}').custom_id
'a'
>>> Row(8, {"prompt": "Say hi", "seed": 1}).custom_id, Row(9, "Say hi").custom_id
('line-8', 'line-9')

A row without a custom_id is called by its line number, but recognised by its content: the `id` of its result ends in a
hash of it, so that a line put in at the top of the input does not shift the results of a rerun.
"""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Optional, Union

from .. import endpoints
from ..config import Config
from ..errors import APIStatusError
from ..reply import Reply
from ..wire import Request

API_PREFIX = "/v1"  #: begins every URL of the Batch format; base_url ends in it already

#: Fields of a short row; all others are parameters.
RESERVED = ("custom_id", "prompt", "messages")

#: Where a body goes that names no URL.
DEFAULT_URL = f"{API_PREFIX}/chat/completions"

ROW_FORMS = (
    'a row is text, has "messages" or a "prompt", '
    'or a "body", with "method": "POST" and a "url": "/v1/…" where it is not for chat'
)

HASH_DIGITS = 16  #: of the SHA-256 of a row's content: 64 bits
RESULT_ID = "batch_req_"

# ---- rows of the input


class Row:
    """One row: a line of text, or a mapping, with its number (counted from 1).

    A line of text is a prompt; a line that begins with a brace is a JSON object, and one in double quotes may be a JSON
    string.  An object has `messages` or a `prompt`, beside parameters, or is a request of the Batch format.  `error`
    says why a row cannot be sent.
    """

    def __init__(
        self, number: int, row: Union[str, Mapping[str, Any]], error: Optional[str] = None
    ):
        self.number = number
        self.error = error
        self.fields: Mapping[str, Any] = {}
        self.content_hash: Optional[str] = None  #: identifies a row without a custom_id
        if isinstance(row, str):
            self._parse(row)
        else:
            self.fields = row
        custom_id = self.fields.get("custom_id")
        if custom_id is None:
            self.custom_id = f"line-{number}"
            self.content_hash = hash_content(row if self.error else self.fields)
        else:
            self.custom_id = str(custom_id)

    def _parse(self, line: str) -> None:
        """Read a line of the input."""
        text = line.strip()
        self.fields = {"prompt": line}
        if text.startswith("{"):
            try:
                self.fields = json.loads(text)
            except (ValueError, RecursionError) as error:
                self.fields = {}
                self.error = f"line {self.number} is not JSON: {error}"
        elif text.startswith('"'):
            # A JSON string, or a text that begins with a quotation.
            with contextlib.suppress(ValueError):
                self.fields = {"prompt": json.loads(text)}

    @property
    def result_id(self) -> str:
        """The `id` of its result: the number, and the hash of a row that has no custom_id."""
        if self.content_hash:
            return f"{RESULT_ID}{self.number}_{self.content_hash}"
        return f"{RESULT_ID}{self.number}"

    def request(self, config: Config) -> Request:
        """Return the Request; raise ValueError or TypeError if the row does not hold one."""
        if self.error:
            raise ValueError(self.error)
        for name in ("messages", "prompt"):
            if name in self.fields:
                return endpoints.chat(config, self.fields[name], self._params())
        return self._batch_request(config)

    def _params(self) -> dict[str, Any]:
        """Return the body parameters of a short row."""
        return {name: value for name, value in self.fields.items() if name not in RESERVED}

    def _batch_request(self, config: Config) -> Request:
        """Return the Request of a row in the Batch format."""
        method = self.fields.get("method", "POST")
        url = self.fields.get("url", DEFAULT_URL)
        body = self.fields.get("body")
        if method != "POST" or not isinstance(body, dict):
            raise ValueError(ROW_FORMS)
        if not isinstance(url, str) or not url.startswith(f"{API_PREFIX}/"):
            raise ValueError(ROW_FORMS)
        return endpoints.build_request(config, "POST", url[len(API_PREFIX) :], body, {})


def hash_content(row: Union[str, Mapping[str, Any]]) -> str:
    """Return a hash of a row's content; the order of an object's fields does not count."""
    text = row if isinstance(row, str) else json.dumps(row, sort_keys=True, default=repr)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:HASH_DIGITS]


def hash_in(result_id: Any) -> Optional[str]:
    """Return the hash in the `id` of a result; None if the row had a custom_id.

    >>> hash_in("batch_req_7_0123456789abcdef"), hash_in("batch_req_7")
    ('0123456789abcdef', None)
    """
    prefix, _, content_hash = str(result_id).rpartition("_")
    if prefix.startswith(RESULT_ID) and len(content_hash) == HASH_DIGITS:
        return content_hash
    return None


# ---- lines of the output


def success_line(row: Row, reply: Reply) -> dict[str, Any]:
    """Return the line of a row that was answered."""
    response = {"status_code": reply.status, "request_id": reply.request_id, "body": reply}
    return result_line(row, response)


def error_line(row: Row, error: Exception) -> dict[str, Any]:
    """Return the line of a row that failed.

    As in the Batch format, an error of the server is a response with its status, and `error` is set for rows that got
    no response at all.
    """
    if not isinstance(error, APIStatusError):
        return result_line(row, None, {"code": type(error).__name__, "message": str(error)})
    body = error.body if isinstance(error.body, dict) else {"message": error.message}
    response = {
        "status_code": error.status_code,
        "request_id": error.request_id,
        "body": {"error": body},
    }
    return result_line(row, response)


def result_line(row: Row, response: Any, error: Any = None) -> dict[str, Any]:
    """Return a line of the output."""
    return {
        "id": row.result_id,
        "custom_id": row.custom_id,
        "response": response,
        "error": error,
    }


def is_success(result: Mapping[str, Any]) -> bool:
    """Return whether a line of the output holds a reply."""
    if result.get("error"):
        return False
    response = result.get("response")
    return isinstance(response, dict) and response.get("status_code") == 200


def failure_reason(result: Mapping[str, Any]) -> str:
    """Return why a row failed: the message of its error, after the status if the server refused it.

    >>> failure_reason({"error": None, "response": {"status_code": 400, "body": {"error": {"message": "no"}}}})
    '400: no'
    """
    response = result.get("response")
    if not isinstance(response, dict):
        error = result.get("error") or {}
        return str(error.get("message") or error.get("code") or "unknown error")
    status = str(response.get("status_code"))
    error = (response.get("body") or {}).get("error")
    if not error:
        return status
    # Not every server has a "message": FastAPI says "detail".
    message = error.get("message") or json.dumps(error, ensure_ascii=False)
    return f"{status}: {message}"


succeeded = is_success  #: the public name, `bulk.succeeded`
