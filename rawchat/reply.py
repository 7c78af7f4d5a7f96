"""A `Reply` is the JSON of a response, as the server sent it, with names for what one mostly wants."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, Optional

from .errors import (
    APIConnectionError,
    APIError,
    APIResponseValidationError,
    APIStatusError,
    DeadlineExceededError,
    error_from_status,
    is_error,
    one_line,
    parse_error_body,
)
from .normalise import decode_json, hold_half, mend, normalise
from .wire import MAX_BYTES, Headers, Response


def error_from_response(response: Response, limit: int) -> APIStatusError:
    """The error that a response with a status other than 2xx tells of, even if its body breaks off."""
    reason = "no reason given"
    try:
        body = response.read(limit)
    except DeadlineExceededError:
        raise
    except APIConnectionError:
        body = b""
    except APIResponseValidationError:  # over the limit: the status counts all the same
        body = b""
        reason = f"its body is over {limit} bytes; raise max_bytes if it may be"
    return error_from_status(response.status, response.headers, body, response.summary, reason)


def error_in_success(payload: Any, response: Response) -> APIResponseValidationError:
    """The error for a 2xx whose JSON tells one."""
    said, fields = parse_error_body(payload)
    return APIResponseValidationError(
        f"{response.status}, but an error: {said} ({response.summary})",
        **{**response.error_fields, **fields},
    )


def not_json_error(
    body: bytes, response: Response, cut: bool = False
) -> APIResponseValidationError:
    """The error for a 2xx whose body is not the JSON object that was asked for."""
    text = body[:2000].decode("utf-8-sig", "replace")
    what = "JSON that stops half way" if cut else "no JSON object"
    hint = "; is base_url right? It is a web page" if text.lstrip()[:1] == "<" else ""
    kind = response.headers.get("content-type") or "no content type"
    return APIResponseValidationError(
        f"{response.status}, but {what} ({kind}): {one_line(text, 120) or 'empty body'}{hint} ({response.summary})",
        body=text,
        cut=cut,
        **response.error_fields,
    )


def looks_truncated(body: bytes) -> bool:
    """Return whether `body` begins as a JSON object and ends before that does.  Brackets in strings do not count.

    The escapes go first, so that a string is all up to the next quote: one pattern for both would try an open string
    again from each of its escaped quotes, in quadratic time.
    """
    text = re.sub(rb"(?s)\\.", b"", body.strip(b"\xef\xbb\xbf \t\r\n"))
    text = re.sub(rb'"[^"]*"?', b"", text)
    return text[:1] == b"{" and (text[-1:] != b"}" or text.count(b"{") > text.count(b"}"))


def only_dicts(things: Any) -> list[dict[str, Any]]:
    """The objects in a list; [] for what is none."""
    return (
        [thing for thing in things if isinstance(thing, dict)] if isinstance(things, list) else []
    )


class Reply(dict[str, Any]):
    """A decoded answer: a dict with everything that was sent, known or not, and these short ways into it.

    >>> reply = Reply(choices=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}}])
    >>> reply.text == reply["choices"][0]["message"]["content"] == "Hi"
    True
    """

    status: int = 200
    headers: Headers = Headers()
    retries: int = 0  #: retries that it took
    elapsed: float = 0.0  #: seconds from the call to the last byte
    model: Optional[str] = (
        None  #: the model that was asked: of several (`model=["a", "b"]`) which answered
    )
    parsed: Any = None  #: the instance that `parse` built

    @property
    def request_id(self) -> Optional[str]:
        """The server's name for this call, to quote when asking its support."""
        found: Optional[str] = self.headers.get("x-request-id")
        return found

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices that are objects; a reply without any (models, moderations) has []."""
        return only_dicts(self.get("choices"))

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message, ready to be appended to the messages; {} if there is none."""
        message = self.choices[0].get("message") if self.choices else None
        return message if isinstance(message, dict) else {}

    @property
    def texts(self) -> list[str]:
        """The text of every choice, of chats and of completions; '' where a choice has none (tool calls)."""
        return [choice_text(choice) for choice in self.choices]

    @property
    def text(self) -> str:
        """The text of the first choice; '' if there is none."""
        return (self.texts or [""])[0]

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls of the first choice, or []."""
        return only_dicts(self.message.get("tool_calls"))

    @property
    def finish_reason(self) -> Optional[str]:
        """Why the first choice ended: stop, length, tool_calls, content_filter."""
        reason = self.choices[0].get("finish_reason") if self.choices else None
        return reason if isinstance(reason, str) else None

    @property
    def usage(self) -> Optional[dict[str, Any]]:
        """Tokens used: prompt_tokens, completion_tokens, total_tokens; None where the server does not say."""
        usage = self.get("usage")
        return usage if isinstance(usage, dict) else None

    @property
    def flagged(self) -> bool:
        """Of a moderation: was any of its inputs found harmful?"""
        return any(result.get("flagged") for result in only_dicts(self.get("results")))

    @property
    def categories(self) -> list[str]:
        """Of a moderation: the names of the categories that were flagged, for any of its inputs."""
        verdicts = only_dicts(
            [result.get("categories") for result in only_dicts(self.get("results"))]
        )
        return sorted(
            {name for verdict in verdicts for name, flagged in verdict.items() if flagged}
        )


def read_reply(response: Response, limit: int = MAX_BYTES) -> Reply:
    """Read the rest of a 2xx `response` as a Reply.

    Raises APIResponseValidationError for what is not a JSON object or holds an error; its `.cut` is true for
    JSON that stops half way, which may be asked for again like any broken body.
    """
    return decode_reply(response.read(limit), response)


def decode_reply(body: bytes, response: Response) -> Reply:
    """The Reply in `body`, with the facts of `response`; raises as `read` does.

    The bytes are UTF-8 whatever the charset header says (RFC 8259, 8.1); a byte order mark is dropped.
    """
    payload, bad = None, False
    try:
        payload = decode_json(body.decode("utf-8-sig"))
        if b"\\u" in body:  # else there are no halves of characters in it
            payload = mend(payload)
    except ValueError:  # undecodable bytes, too
        bad = True  # raised out here: json's own error would go along, with the whole body
    if not isinstance(payload, dict):
        raise not_json_error(body, response, cut=bad and looks_truncated(body))
    if is_error(payload):
        raise error_in_success(payload, response)
    return with_metadata(Reply(payload), response)


def with_metadata(reply: Reply, response: Response) -> Reply:
    """`reply` with the facts of the `response` that it came in, and its messages in the shape of `normalise`."""
    for choice in reply.choices:
        if isinstance(choice.get("message"), dict):
            choice["message"] = normalise(choice["message"])
    reply.status, reply.headers, reply.retries = response.status, response.headers, response.retries
    reply.elapsed, reply.model = response.elapsed(), response.request.model
    return reply


def choice_text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    return text if isinstance(text, str) else ""


class Chunk(dict[str, Any]):
    """One part of a streamed reply, as the server sent it."""

    __slots__ = ("data",)

    def __init__(self, payload: dict[str, Any], data: str = ""):
        super().__init__(payload)
        self.data = data  #: the JSON text that it came as

    @property
    def text(self) -> str:
        """What this chunk adds to the text of the first choice; '' if nothing."""
        choices = self.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and not choice.get("index"):
                delta = choice.get("delta")
                text = delta.get("content") if isinstance(delta, dict) else choice.get("text")
                return text if isinstance(text, str) else ""
        return ""


def whole_texts(chunks: Iterable[Chunk]) -> Iterator[str]:
    """Yield the text of each chunk that has some; half of a character waits for the other half, or becomes U+FFFD."""
    held = ""
    for chunk in chunks:
        text = chunk.text
        if held or not text.isascii():
            text, held = hold_half(held + text)
        if text:
            yield text
    if held:
        yield "\ufffd"


def decode_event(event: Any, response: Response) -> Optional[Chunk]:
    """The chunk that an event holds, or None where it holds none (a ping, null, a number); raises what it tells."""
    told_wrong = event.event == "error"
    if event.event == "ping" or not (event.data.strip() or told_wrong):
        return None
    try:
        payload = decode_json(event.data)
        whole = True
    except ValueError:
        payload = event.data
        whole = False
    if (
        not whole and not told_wrong
    ):  # out here: json's own error would go along, with all that was sent
        raise APIResponseValidationError(
            f"an event of the stream is not JSON: {one_line(event.data, 120)} ({response.summary})"
        )
    if told_wrong or is_error(payload):
        said, fields = parse_error_body(payload)
        raise APIError(f"error in the stream: {said} ({response.summary})", **fields)
    return Chunk(payload, event.data) if isinstance(payload, dict) else None


def chunk_from_reply(body: bytes, response: Response) -> Chunk:
    """A completion that was not streamed, as the one chunk that says it all; raises as `reply.decode` does."""
    reply = decode_reply(body, response)
    if not reply.choices:
        raise not_json_error(body, response)
    choices = [
        {("delta" if name == "message" else name): value for name, value in choice.items()}
        for choice in reply.choices
    ]
    return Chunk({**reply, "choices": choices}, body.decode("utf-8-sig"))
