"""Make the exception for a response that is not what was asked for.

Three things can be wrong: the status is not 2xx, a body with a good status holds an error, or it is not the JSON that
was asked for.
"""

import re
from collections.abc import Mapping
from typing import Any

from ..errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    ContextLengthExceededError,
    DeadlineExceededError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    StreamInterruptedError,
    StreamTimeoutError,
    UnprocessableEntityError,
    one_line,
)
from ..wire import Request, Response
from ..wire.json_text import decode_json
from .error_bodies import parse_error_body

# Statuses under which servers report a prompt that is too long, beside those from 500 on (llama.cpp).
OVERFLOW_STATUSES = {400, 413, 422}

#: Bytes of a body that an error quotes in full (`.body`).
MAX_EXCERPT = 2000

#: Bytes of the body of an error response; more can be no explanation, and no deadline interrupts a decoder.
MAX_ERROR_BYTES = 2**20

#: Content encodings of which every request says that it accepts them, or that need no decoding.
REQUESTED_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")

ERROR_BY_STATUS: dict[int, type[APIStatusError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    422: UnprocessableEntityError,
    429: RateLimitError,
}

# ---- a status that is not 2xx


def error_from_response(response: Response, limit: int) -> APIStatusError:
    """Return the error for a response whose status is not 2xx, even if its body cannot be read whole."""
    body = b""
    reason = "no reason given"
    advice = "; raise max_bytes if that is expected"
    if limit > MAX_ERROR_BYTES:
        limit = MAX_ERROR_BYTES
        advice = ", too long for an error"
    try:
        body = response.read(limit)
    except DeadlineExceededError:
        raise
    except APIConnectionError:
        pass
    except APIResponseValidationError:
        reason = f"its body is over {limit} bytes{advice}"
    encoding = unrequested_encoding(response)
    if encoding and not is_text(body):
        body = b""
        reason = f"its body is in the encoding {encoding}, which was not requested"
    error = error_from_status(response.status, response.headers, body, response.summary, reason)
    if isinstance(error, NotFoundError):
        error.hint = not_found_hint(response.request, error)
    return error


def not_found_hint(request: Request, error: NotFoundError) -> str:
    """Return what to try after a 404: it depends on whether `request` names a model, and on its path."""
    path = request.url.partition("?")[0]
    # One endpoint after another: the first one is the end of base_url.
    doubled = re.search(
        r"(/(?:chat/completions|completions|embeddings|responses|moderations|images/generations))"
        r"/(?:chat/completions|completions|embeddings|responses|moderations|images/|audio/|models$)",
        path,
    )
    if doubled:
        return f"base_url ends in {doubled[1]}: leave that out"
    # An upload may name a model in its form.
    is_upload = request.body is not None and not isinstance(request.body, bytes)
    may_name_a_model = request.model is not None or is_upload or "/models/" in path
    if may_name_a_model or error.code == "model_not_found":
        return error.hint
    return "this server may not have that path: check it and base_url"


def is_text(body: bytes) -> bool:
    """Return whether a body is UTF-8."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def error_from_status(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    summary: str,
    reason: str = "no reason given",
) -> APIStatusError:
    """Return the exception for a response that is not 2xx.

    `summary` names the request in the message: 'POST https://host/path'.  `reason` stands in the message if the
    server gives none.

    >>> error_from_status(404, {}, b'{"error": {"message": "no such model"}}', "GET http://h/v1/models/x").message
    '404: no such model (GET http://h/v1/models/x)'
    """
    text = body.decode("utf-8-sig", "replace")
    try:
        payload = decode_json(text)
    except ValueError:
        payload = text
    message, fields = parse_error_body(payload)
    if 300 <= status < 400:
        target = one_line(headers.get("location") or "nowhere")
        message = f"redirected to {target}, which is not followed"
    title = str(status)
    for name in (fields["code"], fields["type"]):
        if name and name != str(status):
            title = f"{status} {one_line(name)}"
            break
    error_class = class_for_status(status)
    if is_overflow_status(status) and means_overflow(payload):
        error_class = ContextLengthExceededError
    return error_class(
        f"{title}: {message or reason} ({summary})",
        status_code=status,
        headers=headers,
        request_id=headers.get("x-request-id"),
        **fields,
    )


def class_for_status(status: int) -> type[APIStatusError]:
    """Return the exception class for a status."""
    if status >= 500:
        return InternalServerError
    return ERROR_BY_STATUS.get(status, APIStatusError)


def means_overflow(payload: Any) -> bool:
    """Return True if an error says that the prompt is too long."""
    # Imported here: most processes never see an error, and to compile the patterns takes two milliseconds.
    from .wordings import holds_overflow

    return holds_overflow(payload)


def is_overflow_status(status: int) -> bool:
    """Return True for a status under which servers report a prompt that is too long; a 429 never means that."""
    return status in OVERFLOW_STATUSES or status >= 500


# ---- a good status with a bad body


def error_in_success(payload: Any, response: Response) -> APIError:
    """Return the error for a 2xx whose JSON is an error."""
    message, fields = parse_error_body(payload)
    error_class: type[APIError] = APIResponseValidationError
    if means_overflow(payload):
        error_class = ContextLengthExceededError
    error = error_class(
        f"{response.status}, but an error: {message} ({response.summary})", **fields
    )
    response.annotate(error)
    return error


def not_json_error(
    body: bytes, response: Response, truncated: bool = False
) -> APIResponseValidationError:
    """Return the error for a 2xx whose body is not the JSON object that was asked for."""
    text = body[:MAX_EXCERPT].decode("utf-8-sig", "replace")
    encoding = unrequested_encoding(response)
    problem = "not a JSON object"
    if truncated:
        problem = "JSON that is cut off"
    elif encoding:
        problem = f"its content encoding is {encoding}, which was not requested"
    content_type = response.headers.get("content-type") or "no content type"
    excerpt = one_line(text, 120) or "empty body"
    if text.lstrip().startswith("<"):
        excerpt += "; it is a web page: check base_url"
    error = APIResponseValidationError(
        f"{response.status}, but {problem} ({content_type}): {excerpt} ({response.summary})",
        body=text,
    )
    error.truncated = truncated
    response.annotate(error)
    return error


def no_choice_error(text: str, response: Response) -> APIResponseValidationError:
    """Return the error for the answer to a chat that holds no choice."""
    excerpt = one_line(text, 120) or "empty body"
    error = APIResponseValidationError(
        f"{response.status}, but without a choice: {excerpt} ({response.summary})",
        body=text[:MAX_EXCERPT],
    )
    response.annotate(error)
    return error


def unrequested_encoding(response: Response) -> str:
    """Return the content encoding of a response if it was not requested (br, zstd), else ""."""
    encoding = str(response.headers.get("content-encoding") or "").strip().lower()
    return "" if encoding in REQUESTED_ENCODINGS else encoding


def looks_truncated(body: bytes) -> bool:
    """Return whether `body` begins as a JSON object and ends before that does.  Brackets in strings do not count.

    Escapes are removed first, so that a string reaches to the next quote.  One pattern for both would try an open string
    again from each of its escaped quotes, in quadratic time.
    """
    text = re.sub(rb"(?s)\\.", b"", body.strip(b"\xef\xbb\xbf \t\r\n"))
    text = re.sub(rb'"[^"]*"?', b"", text)
    if not text.startswith(b"{"):
        return False
    return not text.endswith(b"}") or text.count(b"{") > text.count(b"}")


# ---- a stream that breaks


def error_in_event(payload: Any, response: Response) -> APIError:
    """Return the error for an event of a stream that holds one: `payload` is its JSON, or its text."""
    message, fields = parse_error_body(payload)
    error_class = ContextLengthExceededError if means_overflow(payload) else APIError
    return error_class(f"error in the stream: {message} ({response.summary})", **fields)


def as_stream_error(error: APIError, read_timeout: float) -> APIError:
    """Return the stream's form of a connection error: the connection was lost, or no data came in time.

    `read_timeout` is the timeout of each read in seconds, for the message.  Any other error is returned as it is.
    """
    if isinstance(error, (DeadlineExceededError, StreamInterruptedError)):
        return error
    if isinstance(error, APITimeoutError):
        return StreamTimeoutError(f"no data for {read_timeout:g} s: {error.message}")
    if isinstance(error, APIConnectionError):
        return StreamInterruptedError(f"connection lost while streaming: {error.message}")
    return error
