"""`Client`: a line or two per verb, and `send`, the life of a request."""

import logging
import math
from typing import Any, Callable, Optional, TypeVar, Union, overload

from . import backoff, endpoints, images, reply
from .base import Base
from .endpoints import Messages
from .errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    DeadlineExceededError,
    RawchatError,
)
from .fallback import overloaded
from .headers import Headers, refuse_credentials
from .keys import Key, hide
from .refusals import refusal
from .reply import Reply
from .stream import Stream
from .urls import origin
from .wire import Request, Response

log = logging.getLogger("rawchat")
Answer = TypeVar("Answer")
Instance = TypeVar("Instance")
Whole = TypeVar("Whole", bound=Reply)


class Client(Base):
    """A connection to one API: settings (see `__init__`), and a verb for each endpoint.  Threads may share it.

    Every verb passes what else it is given into the JSON body, but for `extra_headers`, `extra_query`, `extra_body`
    and `timeout`, and raises an APIError; TypeError or ValueError for what JSON cannot carry.
    """

    def chat(self, messages: Messages, **params: Any) -> Reply:
        """Ask, and wait for the whole answer.  `messages` is a text, or any iterable of messages."""
        return self._told(self.send(endpoints.chat(self.config, messages, params), self._read))

    def stream_chat(self, messages: Messages, **params: Any) -> Stream:
        """Ask, and read the answer while it is made.  Sends at once: what is refused is raised here."""
        return self.send(endpoints.chat(self.config, messages, params, stream=True), self._stream)

    @overload
    def parse(self, messages: Messages, into: type[Instance], **params: Any) -> Instance: ...
    @overload
    def parse(self, messages: Messages, into: Any, **params: Any) -> Any: ...
    def parse(self, messages: Messages, into: Any, **params: Any) -> Any:
        """Ask for an instance of `into`: a dataclass, TypedDict, Enum, Literal, Optional, list, or pydantic model.

        Raises TypeError for a type that cannot be asked for, and what `parsed.built` raises.
        """
        from . import (
            parsed,
            schema,
        )  # here, not above: they load `inspect`, an eighth of the time to import us

        return parsed.built(
            self.chat(messages, **{"response_format": schema.response_format(into), **params}), into
        )

    def complete(self, prompt: Union[str, list[Any]], **params: Any) -> Reply:
        """Go on with a text (/v1/completions)."""
        return self._told(self.send(endpoints.completion(self.config, prompt, params), self._read))

    def stream_complete(self, prompt: Union[str, list[Any]], **params: Any) -> Stream:
        """Go on with a text, and read what is added while it is made."""
        return self.send(
            endpoints.completion(self.config, prompt, params, stream=True), self._stream
        )

    def moderate(self, input: Union[str, list[Any]], **params: Any) -> Reply:
        """Is this text harmful?  `.flagged` and `.categories` of the reply say it, reply["results"] in detail."""
        return self._told(self.send(endpoints.moderation(self.config, input, params), self._read))

    def image(self, prompt: str, **params: Any) -> images.Pictures:
        """Draw a picture; it is in reply["data"], as a URL or as base64, and `.save(path)` writes it."""
        return self._told(
            images.pictures(self.send(endpoints.image(self.config, prompt, params), self._read))
        )

    def models(self, **params: Any) -> Reply:
        """The models that the server has, in reply["data"]."""
        return self._told(self.send(endpoints.models(self.config, params), self._read))

    def model(self, id: str, **params: Any) -> Reply:
        """What the server says about one model."""
        return self._told(self.send(endpoints.model(self.config, id, params), self._read))

    @overload
    def send(self, request: Request) -> Response: ...
    @overload
    def send(self, request: Request, read: Callable[[Response], Answer]) -> Answer: ...
    def send(
        self, request: Request, read: Callable[[Response], Any] = lambda response: response
    ) -> Any:
        """The life of a request: one attempt after the other until one is answered, or is not worth repeating.

        Returns what `read` makes of the 2xx Response (without it the Response, its body still to be read).  A body
        that breaks while `read` reads it is one more failed attempt.  With retries used up, the same is asked of the
        next model, if several were given.  Raises the last attempt's APIError.
        """
        if self._closed:
            raise RawchatError("this client is closed; make a new one")
        if self.config.from_dotenv and origin(request.url) == origin(self.config.base_url):
            refuse_credentials(
                request.headers, {}, "the arguments"
            )  # a caller may have made it by hand
        request = request._replace(
            headers=Headers(request.headers)
        )  # a caller may have made it with a dict
        start, retries, keys = self._clock(), 0, self._ring.choice(request.model)
        while True:
            attempt = self._within_deadline(request, start)
            try:
                if origin(request.url) == origin(self.config.base_url):  # a key stays at home
                    attempt = with_key(attempt, keys.next())
                response = self.transport(attempt)
                response.request, response.retries, response.elapsed = (
                    attempt,
                    retries,
                    lambda: self._clock() - start,
                )
                if 200 <= response.status < 300:
                    return read(response)
                failure: APIError = refusal(response, self.config.max_bytes)
            except APIError as error:
                failure = error
            failure.retries = retries
            hide(attempt.headers.secrets, failure)
            wait = self._wait(failure, keys.failed(failure))
            if wait is None and request.instead and overloaded(failure):
                request, retries = request.instead, 0
                keys = self._ring.choice(request.model)
                continue
            if wait is None:
                raise failure  # out here, so that no half-handled exception hangs on to it
            if self._clock() - start + wait >= (self.config.deadline or math.inf):
                raise DeadlineExceededError(
                    f"no time for another attempt; the last one: {failure.message}", retries=retries
                ) from failure
            log.info(
                "retry %d of %d in %.3g s: %s",
                retries + 1,
                self.config.max_retries,
                wait,
                failure.message,
            )
            self._sleep(wait)
            retries += 1

    def _within_deadline(self, request: Request, start: float) -> Request:
        """`request` with what is left of the deadline; raises DeadlineExceededError if nothing is."""
        if not self.config.deadline:
            return request
        left = self.config.deadline - (self._clock() - start)
        if left <= 0:
            raise DeadlineExceededError(f"the deadline has passed ({request.where})")
        return request._replace(deadline=left)

    def _wait(self, failure: APIError, another_key: Optional[float]) -> Optional[float]:
        """Seconds until the next attempt (see `backoff`), or None for none; `another_key` is free in so many."""
        broken = isinstance(failure, APIConnectionError) or getattr(failure, "cut", False)
        if (
            failure.retries >= self.config.max_retries
            or isinstance(failure, DeadlineExceededError)
            or not (broken or isinstance(failure, APIStatusError))
        ):
            return None
        if another_key == 0:
            return 0  # it has nothing to wait for
        code = "insufficient_quota" if failure.type == "insufficient_quota" else failure.code
        own = backoff.delay(
            None if broken else failure.status_code,
            failure.headers,
            code,
            failure.retries,
            self._random,
            self._now,
        )
        waits = [
            wait for wait in (own, another_key) if wait is not None and wait <= backoff.PATIENCE
        ]
        return min(waits, default=None)

    def _read(self, response: Response) -> Reply:
        return reply.read(response, self.config.max_bytes)

    def _told(self, whole: Whole) -> Whole:
        self._on_reply(whole)  # not in `send`: what it raises is no failure of the call
        return whole

    def _stream(self, response: Response) -> Stream:
        return Stream(response, self.config.max_bytes, on_reply=self._on_reply)


def with_key(request: Request, key: Optional[Key]) -> Request:
    """`request` with its credential, unless the caller gave it (or forbade one) by an Authorization header."""
    if not key or not request.keyed:
        return request
    return request._replace(headers=Headers(request.headers, {"Authorization": f"Bearer {key}"}))
