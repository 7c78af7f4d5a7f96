"""The lines of OpenAI's Batch format: a row of the input → its Request, and what came of it → a line of the output.

>>> Row(7, '{"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": {}}').custom_id
'a'
>>> Row(8, {"prompt": "Say hi", "seed": 1}).custom_id, Row(9, "Say hi").custom_id
('line-8', 'line-9')
"""

import json
from collections.abc import Mapping
from typing import Any, Optional, Union

from .. import endpoints
from ..config import Config
from ..errors import APIStatusError
from ..reply import Reply
from ..wire import Request

RESERVED = ("custom_id", "prompt", "messages")  #: of a short row; what else it has are parameters


class Row:
    """One row: a line of text or the object in it, with its number, counted from 1.

    Plain text is a prompt; an object has `messages` or a `prompt` beside parameters, or is one of the Batch format.
    """

    def __init__(self, number: int, row: Union[str, Mapping[str, Any]]):
        self.number = number
        self.fault: Optional[str] = None  # why it cannot be sent
        self.fields: Mapping[str, Any] = {"prompt": row} if isinstance(row, str) else row
        if isinstance(row, str) and row.lstrip().startswith("{"):
            try:
                self.fields = json.loads(row)
            except (ValueError, RecursionError) as error:
                self.fields, self.fault = {}, f"line {number} is not JSON: {error}"
        self.custom_id = str(self.fields.get("custom_id", f"line-{number}"))

    def request(self, config: Config) -> Request:
        """The Request; raises ValueError or TypeError if there is none in it."""
        if self.fault:
            raise ValueError(self.fault)
        params = {name: value for name, value in self.fields.items() if name not in RESERVED}
        if "messages" in self.fields or "prompt" in self.fields:
            return endpoints.chat(
                config, self.fields.get("messages", self.fields.get("prompt")), params
            )
        method, url, body = (self.fields.get(name) for name in ("method", "url", "body"))
        if (
            method != "POST"
            or not isinstance(url, str)
            or not url.startswith("/v1/")
            or not isinstance(body, dict)
        ):
            raise ValueError(
                'a row is text, has "messages" or a "prompt", or "method": "POST", a "url": "/v1/…" '
                'and a "body"'
            )
        return endpoints.build_request(config, method, url[len("/v1") :], body, {})


def success_line(row: Row, reply: Reply) -> dict[str, Any]:
    """The line for a row that was answered."""
    return result_line(
        row, {"status_code": reply.status, "request_id": reply.request_id, "body": reply}
    )


def error_line(row: Row, error: Exception) -> dict[str, Any]:
    """The line for one that was not.  As in the Batch format a refusal of the server is a response with its status,
    and `error` tells of rows to which there was no answer."""
    if isinstance(error, APIStatusError):
        body = error.body if isinstance(error.body, dict) else {"message": error.message}
        return result_line(
            row,
            {
                "status_code": error.status_code,
                "request_id": error.request_id,
                "body": {"error": body},
            },
        )
    return result_line(row, None, {"code": type(error).__name__, "message": str(error)})


def result_line(row: Row, response: Any, error: Any = None) -> dict[str, Any]:
    """A line of the output."""
    return {
        "id": f"batch_req_{row.number}",
        "custom_id": row.custom_id,
        "response": response,
        "error": error,
    }


def is_success(result: Mapping[str, Any]) -> bool:
    """Does a line of the output hold an answer?"""
    response = result.get("response")
    return (
        not result.get("error")
        and isinstance(response, dict)
        and response.get("status_code") == 200
    )


succeeded = is_success  # the public name, as in `rawchat.bulk.succeeded`
