"""`Client`: a line or two per verb, and `send`, the life of a request."""

import logging
import math
import os
import random as chance
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, TypeVar, Union, overload

from . import backoff, config, endpoints, images, reply
from .backoff import should_fall_back
from .config import Timeout, parameters
from .endpoints import Messages
from .errors import (
    APIConnectionError,
    APIError,
    APIStatusError,
    DeadlineExceededError,
    RawchatError,
)
from .keys import ApiKey, Key, KeyPool, redact_error
from .reply import Reply, error_from_response
from .stream import Stream
from .urls import origin
from .wire import Headers, Request, Response, Transport, refuse_credentials

Self = TypeVar("Self", bound="BaseClient")


WORLD: dict[str, Any] = {
    "sleep": time.sleep,
    "random": chance.random,
    "now": time.time,
    "clock": time.monotonic,
}


class BaseClient:
    """A client without its verbs."""

    def __init__(
        self,
        api_key: ApiKey = None,
        base_url: Optional[str] = None,
        model: Union[str, Sequence[str], None] = None,
        organization: Optional[str] = None,
        project: Optional[str] = None,
        timeout: Timeout = None,
        deadline: Optional[float] = None,
        max_retries: Optional[int] = None,
        max_bytes: Optional[int] = None,
        rotate_after: Optional[float] = None,
        allow_http: bool = False,
        default_headers: Optional[Mapping[str, Optional[str]]] = None,
        default_query: Optional[Mapping[str, Any]] = None,
        transport: Optional[Transport] = None,
        on_reply: Optional[Callable[[Reply], Any]] = None,
        sleep: Callable[[float], Any] = time.sleep,
        random: Callable[[], float] = chance.random,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        environ: Optional[Mapping[str, str]] = None,
        **params: Any,
    ):
        """
        api_key        str, list of str, or a function asked before every attempt; else OPENAI_API_KEY(S); '' is none
        base_url       else OPENAI_BASE_URL, else https://api.openai.com/v1
        model          or a list, to ask the next one when one is overloaded; else OPENAI_MODEL or MODEL_NAME, else
                       `config.CHAT_MODEL`, `config.COMPLETION_MODEL`
        organization, project       else OPENAI_ORG_ID, OPENAI_PROJECT_ID
        timeout        seconds for each step, or (connect, read); default (5, 600)
        deadline       seconds for a whole call: attempts, waits, the whole stream; default none
        max_retries    further attempts after the first; default 2
        max_bytes      bound on a body, or on one event of a stream; default 64 MiB
        rotate_after   of several keys, seconds until the next one's turn; default: it comes with every call
        allow_http     may a key go over http:// to another machine?
        default_headers, default_query      for every request; a header of None is left out
        transport      any function Request -> Response; default `transport.over_http(base_url)`
        on_reply       called with every finished Reply, streamed ones too
        sleep, random, now, clock, environ  the world: to wait, 0 to 1, seconds since 1970, monotonic seconds, variables
        params         body parameters for every chat and completion (temperature=0)

        What is None is looked up in the environment, then in .env in the working directory.  Raises ConfigError;
        TypeError for a parameter that is nearly a name above, or whose value looks like a key or a URL.
        """
        given = {
            name: value
            for name, value in locals().items()
            if name not in ("self", "params", "given")
        }
        parameters(params, given.keys())
        self._given = {
            **{name: value for name, value in given.items() if value is not WORLD.get(name)},
            **params,
        }
        base_url = getattr(transport, "base_url", None) if base_url is None else base_url
        environ = os.environ if environ is None else environ
        self.config = config.load_config({**given, "base_url": base_url, "params": params}, environ)
        self._transport, self._lock = transport, threading.Lock()
        self._on_reply = on_reply or (lambda reply: None)
        self._sleep, self._random, self._now, self._clock = sleep, random, now, clock
        self._closed = False
        self._ring = KeyPool(self.config.keys, clock, now, self.config.rotate_after)

    @property
    def transport(self) -> Transport:
        """The function that sends: the one that was given, else `over_http`, made at the first call."""
        with self._lock:
            if (
                self._transport is None
            ):  # here, not above: requests takes longer to import than all of us together
                from .transport import over_http

                self._transport = over_http(self.config.base_url, environ=self.config.network)
            return self._transport

    def close(self) -> None:
        """Close the connections; a later call is an error."""
        self._closed = True
        transport: Any = self._transport
        while hasattr(transport, "__wrapped__"):  # functools.wraps leaves it: the transport within
            transport = transport.__wrapped__
        getattr(transport, "close", lambda: None)()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"

    def __getstate__(self) -> dict[str, Any]:
        return self._given  # settings as they were given: connections do not travel, nor does a key
        # that came from the environment

    def __setstate__(self, given: dict[str, Any]) -> None:
        BaseClient.__init__(self, **given)


log = logging.getLogger("rawchat")


Answer = TypeVar("Answer")


Instance = TypeVar("Instance")


Whole = TypeVar("Whole", bound=Reply)


class Client(BaseClient):
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
            schema,  # here, not above: they load `inspect`, an eighth of the time to import us
        )
        from .schema import build

        return build.parse_reply(
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
            images.as_pictures(self.send(endpoints.image(self.config, prompt, params), self._read))
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
                    attempt = authorize(attempt, keys.next())
                response = self.transport(attempt)
                response.request, response.retries, response.elapsed = (
                    attempt,
                    retries,
                    lambda: self._clock() - start,
                )
                if 200 <= response.status < 300:
                    return read(response)
                failure: APIError = error_from_response(response, self.config.max_bytes)
            except APIError as error:
                failure = error
            failure.retries = retries
            redact_error(attempt.headers.secrets, failure)
            wait = self._wait(failure, keys.failed(failure))
            if wait is None and request.fallback and should_fall_back(failure):
                request, retries = request.fallback, 0
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
            raise DeadlineExceededError(f"the deadline has passed ({request.summary})")
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
        own = backoff.retry_delay(
            None if broken else failure.status_code,
            failure.headers,
            code,
            failure.retries,
            self._random,
            self._now,
        )
        waits = [
            wait
            for wait in (own, another_key)
            if wait is not None and wait <= backoff.MAX_RETRY_AFTER
        ]
        return min(waits, default=None)

    def _read(self, response: Response) -> Reply:
        return reply.read_reply(response, self.config.max_bytes)

    def _told(self, whole: Whole) -> Whole:
        self._on_reply(whole)  # not in `send`: what it raises is no failure of the call
        return whole

    def _stream(self, response: Response) -> Stream:
        return Stream(response, self.config.max_bytes, on_reply=self._on_reply)


def authorize(request: Request, key: Optional[Key]) -> Request:
    """`request` with its credential, unless the caller gave it (or forbade one) by an Authorization header."""
    if not key or not request.send_key:
        return request
    return request._replace(headers=Headers(request.headers, {"Authorization": f"Bearer {key}"}))


_client: Optional[Client] = None


_making = threading.Lock()  # two threads at once shall not make two


def default_client() -> Client:
    """Made at the first call, with settings from the environment; the same one from then on.  Raises ConfigError."""
    global _client
    with _making:
        if _client is None:
            _client = Client()
    return _client
