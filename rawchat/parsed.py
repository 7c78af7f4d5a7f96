"""From a reply to the instance that `parse` was asked for, or to the error that says why there is none."""

from typing import Any

from . import typed
from .errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    RawchatError,
    one_line,
)
from .reply import Reply


def built(reply: Reply, kind: Any) -> Any:
    """The instance of `kind` that the text of `reply` is the JSON of; it is `reply.parsed` from now on.

    Raises LengthFinishReasonError, ContentFilterFinishReasonError, or APIResponseValidationError for a refusal or
    a text that does not fit; each with the reply as its `.reply`.
    """
    failure: RawchatError
    if reply.finish_reason == "length":
        failure = LengthFinishReasonError(
            "the typed answer was cut by the token limit; a larger max_tokens may help"
        )
    elif reply.finish_reason == "content_filter":
        failure = ContentFilterFinishReasonError("the typed answer was cut by the content filter")
    elif reply.message.get("refusal"):
        failure = _unfit(f"the model refused: {one_line(reply.message['refusal'], 200)}", reply)
    else:
        try:
            reply.parsed = typed.parse(kind, reply.text)
            return reply.parsed
        except typed.MismatchError as error:
            excerpt = one_line(reply.text, 120) or "no text"
            failure = _unfit(
                f"the answer does not fit: {one_line(str(error), 300)} (it was: {excerpt})", reply
            )
    failure.__dict__["reply"] = reply
    raise failure


def _unfit(message: str, reply: Reply) -> APIResponseValidationError:
    return APIResponseValidationError(
        message,
        status_code=reply.status,
        headers=reply.headers,
        retries=reply.retries,
        request_id=reply.request_id,
    )
