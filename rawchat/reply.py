"""A `Reply` is the JSON of a response, as the server sent it, with names for what one mostly wants."""

from typing import Any, Optional

from .encode import decode_json, mend
from .headers import Headers
from .normalise import normalise
from .refusals import error_inside, not_json, objects, stops_half_way, tells_error
from .wire import MAX_BYTES, Response


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
        return objects(self.get("choices"))

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message, ready to be appended to the messages; {} if there is none."""
        message = self.choices[0].get("message") if self.choices else None
        return message if isinstance(message, dict) else {}

    @property
    def texts(self) -> list[str]:
        """The text of every choice, of chats and of completions; '' where a choice has none (tool calls)."""
        return [_text(choice) for choice in self.choices]

    @property
    def text(self) -> str:
        """The text of the first choice; '' if there is none."""
        return (self.texts or [""])[0]

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tool calls of the first choice, or []."""
        return objects(self.message.get("tool_calls"))

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
        return any(result.get("flagged") for result in objects(self.get("results")))

    @property
    def categories(self) -> list[str]:
        """Of a moderation: the names of the categories that were flagged, for any of its inputs."""
        verdicts = objects([result.get("categories") for result in objects(self.get("results"))])
        return sorted(
            {name for verdict in verdicts for name, flagged in verdict.items() if flagged}
        )


def read(response: Response, limit: int = MAX_BYTES) -> Reply:
    """Read the rest of a 2xx `response` as a Reply.

    Raises APIResponseValidationError for what is not a JSON object or holds an error; its `.cut` is true for
    JSON that stops half way, which may be asked for again like any broken body.
    """
    return decode(response.read(limit), response)


def decode(body: bytes, response: Response) -> Reply:
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
        raise not_json(body, response, cut=bad and stops_half_way(body))
    if tells_error(payload):
        raise error_inside(payload, response)
    return dressed(Reply(payload), response)


def dressed(reply: Reply, response: Response) -> Reply:
    """`reply` with the facts of the `response` that it came in, and its messages in the shape of `normalise`."""
    for choice in reply.choices:
        if isinstance(choice.get("message"), dict):
            choice["message"] = normalise(choice["message"])
    reply.status, reply.headers, reply.retries = response.status, response.headers, response.retries
    reply.elapsed, reply.model = response.elapsed(), response.request.model
    return reply


def _text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    return text if isinstance(text, str) else ""
