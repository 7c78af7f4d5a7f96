"""A `Reply` is the JSON of a response, as the server sent it, with names for what one mostly wants."""
import json
import re
from typing import Any, Optional

from . import typed
from .errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    RawchatError,
    one_line,
    tells_error,
    told,
)
from .headers import Headers
from .wire import MAX_BYTES, Response


class Reply(dict[str, Any]):
    """A decoded answer: a dict with everything that was sent, known or not, and these short ways into it.

    >>> reply = Reply(choices=[{"index": 0, "message": {"role": "assistant", "content": "Hi"}}])
    >>> reply.text == reply["choices"][0]["message"]["content"] == "Hi"
    True
    """

    status: int = 200
    headers: Headers = Headers()
    retries: int = 0                        #: retries that it took
    elapsed: float = 0.0                    #: seconds from the call to the last byte
    model: Optional[str] = None             #: the model that was asked: of several (`model=["a", "b"]`) which answered
    parsed: Any = None                      #: the instance that `parse` built

    @property
    def request_id(self) -> Optional[str]:
        """The server's name for this call, to quote when asking its support."""
        found: Optional[str] = self.headers.get("x-request-id")
        return found

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices that are objects; a reply without any (models, moderations) has []."""
        choices = self.get("choices")
        return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []

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
        return self.message.get("tool_calls") or []

    @property
    def finish_reason(self) -> Optional[str]:
        """Why the first choice ended: stop, length, tool_calls, content_filter."""
        return self.choices[0].get("finish_reason") if self.choices else None

    @property
    def usage(self) -> Optional[dict[str, Any]]:
        """Tokens used: prompt_tokens, completion_tokens, total_tokens; None where the server does not say."""
        return self.get("usage")

    @property
    def flagged(self) -> bool:
        """Of a moderation: was any of its inputs found harmful?"""
        return any(result.get("flagged") for result in self.get("results") or ())

    @property
    def categories(self) -> list[str]:
        """Of a moderation: the names of the categories that were flagged, for any of its inputs."""
        verdicts = [result.get("categories") or {} for result in self.get("results") or ()]
        return sorted({name for verdict in verdicts for name, flagged in verdict.items() if flagged})


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
        payload = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):                # a 5000-digit number is a ValueError as well
        bad = True                          # raised out here: json's own error would go along, with the whole body
    if not isinstance(payload, dict):
        raise not_json(body, response, cut=bad and _stops_half_way(body))
    if tells_error(payload):
        said, fields = told(payload)
        raise APIResponseValidationError(f"{response.status}, but an error: {said} ({response.asked})",
                                         **{**response.facts, **fields})
    return dressed(Reply(payload), response)


def dressed(reply: Reply, response: Response) -> Reply:
    """`reply` with the facts of the `response` that it came in."""
    reply.status, reply.headers, reply.retries = response.status, response.headers, response.retries
    reply.elapsed, reply.model = response.elapsed(), response.request.model
    return reply


def built(reply: Reply, kind: Any) -> Any:
    """The instance of `kind` that the text of `reply` is the JSON of; it is `reply.parsed` from now on.

    Raises LengthFinishReasonError, ContentFilterFinishReasonError, or APIResponseValidationError for a refusal or
    a text that does not fit; each with the reply as its `.reply`.
    """
    failure: RawchatError
    if reply.finish_reason == "length":
        failure = LengthFinishReasonError("the typed answer was cut by the token limit; a larger max_tokens may help")
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
            failure = _unfit(f"the answer does not fit: {one_line(str(error), 300)} (it was: {excerpt})", reply)
    failure.__dict__["reply"] = reply
    raise failure


def _unfit(message: str, reply: Reply) -> APIResponseValidationError:
    return APIResponseValidationError(message, status_code=reply.status, headers=reply.headers, retries=reply.retries,
                                      request_id=reply.request_id)


def not_json(body: bytes, response: Response, cut: bool = False) -> APIResponseValidationError:
    """The error for a 2xx whose body is not the JSON object that was asked for."""
    text = body[:2000].decode("utf-8-sig", "replace")
    what = "JSON that stops half way" if cut else "no JSON object"
    hint = "; is base_url right? It is a web page" if text.lstrip()[:1] == "<" else ""
    kind = response.headers.get("content-type") or "no content type"
    return APIResponseValidationError(
        f"{response.status}, but {what} ({kind}): {one_line(text, 120) or 'empty body'}{hint} ({response.asked})",
        body=text, cut=cut, **response.facts)


def _stops_half_way(body: bytes) -> bool:
    """Does `body` begin as a JSON object and end before that does?  Brackets in strings do not count."""
    text = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", body.strip(b"\xef\xbb\xbf \t\r\n"))
    return text[:1] == b"{" and (text[-1:] != b"}" or text.count(b"{") > text.count(b"}"))


def _text(choice: dict[str, Any]) -> str:
    message = choice.get("message")
    text = message.get("content") if isinstance(message, dict) else choice.get("text")
    return text if isinstance(text, str) else ""
