"""The client: its settings, the verbs of a chat, and `send`, the life of a call.

`send` repeats a request until an attempt succeeds or is not worth repeating, waits in between as `backoff` says, chooses
an API key for every attempt, and turns to the next model if several are given.

    verbs       the verbs of all other endpoints
    default     the client behind `rawchat.chat` and the other functions
"""

import logging
import math
import os
import random as chance
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, TypeVar, Union, overload

from .. import endpoints, reply
from ..backoff import CallBounds, Runtime, next_delay, should_fall_back
from ..compat import unsupported
from ..compat.error_responses import error_from_response
from ..config import Timeout, load_config
from ..config.checks import check_types
from ..config.misnamed import SdkResource, check_params
from ..endpoints import Messages
from ..errors import APIError, DeadlineExceededError, RawchatError
from ..keys import ApiKey, authorize
from ..keys.credentials import refuse_credentials, refuse_unencrypted
from ..keys.pool import KeyPool
from ..keys.redaction import redact_error, request_secrets
from ..reply import Reply
from ..stream import Stream
from ..urls import join_url, origin
from ..wire import Headers, Request, Response, Transport
from .verbs import Answer, AnyReply, Verbs
from .verbs import Instance as Instance

Self = TypeVar("Self", bound="Client")

log = logging.getLogger("rawchat")


class Client(Verbs):
    """A connection to one API: settings (see `__init__`), and a verb for each endpoint.  Threads may share it.

    Every verb passes its further arguments into the JSON body, except for `extra_headers`, `extra_query`,
    `extra_body` and `timeout`.  It raises an APIError if the call fails; TypeError or ValueError for what JSON cannot
    represent.
    """

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
        proxy: Optional[str] = None,
        ca_bundle: Optional[str] = None,
        transport: Optional[Transport] = None,
        on_reply: Optional[Callable[[Reply], Any]] = None,
        sleep: Callable[[float], Any] = time.sleep,
        random: Optional[Callable[[], float]] = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        environ: Optional[Mapping[str, str]] = None,
        **params: Any,
    ):
        """Read and validate the settings; open nothing.

        A setting of None is looked up in the environment, then in .env in the working directory.

        api_key        str, list of str, or a function called before every attempt; else OPENAI_API_KEY(S); '' for none
        base_url       else OPENAI_BASE_URL, else https://api.openai.com/v1
        model          or a list: if one is overloaded, the next one is asked; else OPENAI_MODEL or MODEL_NAME, else
                       `config.DEFAULT_CHAT_MODEL`, `config.DEFAULT_COMPLETION_MODEL`
        organization, project       else OPENAI_ORG_ID, OPENAI_PROJECT_ID
        timeout        seconds for each step, or (connect, read); default (5, 600)
        deadline       seconds for a whole call: attempts, delays, the whole stream; default none
        max_retries    attempts after the first one; default 2
        max_bytes      bound on a body, or on one event of a stream; default 64 MiB
        rotate_after   with several keys: seconds until calls begin with the next key; default: every call does
        allow_http     True to send a key over http:// to another machine
        default_headers, default_query      for every request; a header of None is left out
        proxy          URL of a proxy for every request, to this machine too; '' for none; else HTTPS_PROXY, HTTP_PROXY,
                       ALL_PROXY and NO_PROXY, which never concern requests to this machine
        ca_bundle      file or folder of certificates to trust, or "system" for the operating system's; else
                       REQUESTS_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR or CURL_CA_BUNDLE
        transport      any function Request -> Response; default `transport.over_http(base_url)`
        on_reply       called with every finished Reply, streamed ones too
        sleep, random, now, clock   time and chance: see `backoff.Runtime`
        environ        the environment variables; default os.environ
        params         body parameters for every chat and completion (temperature=0)

        Raises ConfigError; TypeError for a parameter whose name is close to a setting's, or whose value looks like a
        key or a URL.
        """
        # The settings that `load_config` reads, and the collaborators, which are objects and not configuration.
        arguments: dict[str, Any] = {
            "api_key": api_key,
            "base_url": base_url,
            "model": model,
            "organization": organization,
            "project": project,
            "timeout": timeout,
            "deadline": deadline,
            "max_retries": max_retries,
            "max_bytes": max_bytes,
            "rotate_after": rotate_after,
            "allow_http": allow_http,
            "default_headers": default_headers,
            "default_query": default_query,
            "proxy": proxy,
            "ca_bundle": ca_bundle,
            "transport": transport,
            "on_reply": on_reply,
            "sleep": sleep,
            "random": random,
            "now": now,
            "clock": clock,
            "environ": environ,
        }
        check_types(arguments)
        check_params(params)
        self._arguments = {**arguments, **params}
        self._transport = transport
        self._on_reply = on_reply
        self._runtime = Runtime(sleep, random or chance.random, now, clock)
        self._left_out: set[str] = set()  # what this server does not take: see `compat.unsupported`
        self._lock = threading.Lock()
        self._closed = False
        if base_url is None:
            arguments["base_url"] = getattr(transport, "base_url", None)
        arguments["params"] = params
        self.config = load_config(arguments, os.environ if environ is None else environ)
        self._keys = KeyPool(self.config.keys, clock, now, self.config.rotate_after)

    @property
    def transport(self) -> Transport:
        """Return the function that sends: the one given, else `over_http`, made at the first call."""
        with self._lock:
            if self._transport is None:
                # Imported here: requests takes longer to import than all of rawchat.
                from ..transport import over_http

                config = self.config
                self._transport = over_http(
                    config.base_url, config.ca_bundle, config.network, config.proxy
                )
            return self._transport

    def close(self) -> None:
        """Close the connections; a later call raises RawchatError."""
        self._closed = True
        transport: Any = self._transport
        # Set by functools.wraps: the transport inside a wrapper.
        while hasattr(transport, "__wrapped__"):
            transport = transport.__wrapped__
        if hasattr(transport, "close"):
            transport.close()

    def __enter__(self: Self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.config!r})"

    def __getstate__(self) -> dict[str, Any]:
        """Return the arguments as they were given: no connection is pickled, and no key from the environment."""
        state = {}
        defaults = Runtime()
        for name, value in self._arguments.items():
            if value is not None and value is not getattr(defaults, name, None):
                state[name] = value
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        Client.__init__(self, **state)

    # ---- the verbs of a chat

    def chat(self, messages: Messages, **params: Any) -> Reply:
        """Send `messages`, a text or any iterable of messages, and return the whole Reply."""
        request = endpoints.chat(self.config, messages, params)
        return self.report(self.send(request, self.read_reply))

    chat.completions = SdkResource()  # type: ignore[attr-defined]

    def stream_chat(self, messages: Messages, **params: Any) -> Stream:
        """Send `messages` and return the reply as a Stream, to be read while it is generated.

        The request is sent at once: an error response is raised here.
        """
        request = endpoints.chat(self.config, messages, params, stream=True)
        return self.send(request, self.open_stream)

    # ---- the life of a call

    @overload
    def send(self, request: Request) -> Response: ...
    @overload
    def send(self, request: Request, read: Callable[[Response], Answer]) -> Answer: ...
    def send(self, request: Request, read: Optional[Callable[[Response], Any]] = None) -> Any:
        """Send `request`, attempt after attempt, until one succeeds or is not worth repeating.

        A URL that begins with a slash is below base_url.  Returns what `read` makes of the 2xx Response; without `read`
        the Response, its body not yet read.  A body that breaks while `read` reads it counts as a failed attempt.  When
        the retries are used up, the request's fallbacks are sent in the same way.  What rawchat added to the body and
        the server refuses is left out, at once: see `compat.unsupported`.  Raises the APIError of the last attempt;
        DeadlineExceededError if no time is left.
        """
        if self._closed:
            raise RawchatError("this client is closed; make a new one")
        bounds = CallBounds(self._runtime, self.config.max_retries, self.config.deadline)
        failure: APIError
        for candidate in (request, *request.fallbacks):
            if candidate.url.startswith("/"):
                url = join_url(self.config.base_url, candidate.url, self.config.query)
                candidate = candidate._replace(url=url)
            at_home = self._goes_home(candidate)
            keys = self._keys.selector(candidate.model)
            left_out = set(self._left_out)
            retries = 0
            while True:
                attempt = self._prepare(unsupported.adapt(candidate, left_out), bounds.remaining())
                try:
                    if at_home:
                        attempt = authorize(attempt, keys.pick())
                    response = self.transport(attempt)
                    response.record_attempt(attempt, retries, bounds.seconds)
                    if 200 <= response.status < 300:
                        result = response if read is None else read(response)
                        self._left_out.update(left_out)
                        return result
                    failure = error_from_response(response, self.config.max_bytes)
                except APIError as error:
                    failure = error
                failure.retries = retries
                redact_error(request_secrets(attempt), failure)
                addition = unsupported.find_unsupported(failure, attempt, left_out)
                if addition is not None:
                    log.info("the server refuses %s; sending the request without it", addition)
                    left_out.add(addition)
                    continue
                delay = next_delay(failure, keys.report(failure), bounds)
                if delay is None:
                    break
                self._runtime.sleep(delay)
                retries += 1
            if not should_fall_back(failure):
                break
        # Raised outside `except`, so that __context__ holds no frame with the key.
        raise failure

    def _goes_home(self, request: Request) -> bool:
        """Return True if `request` goes to the origin of base_url: the key is never sent to another one.

        Raises ConfigError for a credential in its headers that must not go there either.
        """
        if origin(request.url) != origin(self.config.base_url):
            return False
        if self.config.from_dotenv:
            refuse_credentials(request.headers, {}, "the arguments")
        if self.config.unencrypted:
            refuse_unencrypted(request.url, request.headers)
        return True

    def _prepare(self, request: Request, left: float) -> Request:
        """Return `request` for one attempt, which may take the seconds that are `left` of the deadline.

        Raises DeadlineExceededError if none are.
        """
        if not isinstance(request.headers, Headers):  # a caller may have given a dict
            request = request._replace(headers=Headers(request.headers))
        if left == math.inf:
            return request
        if left <= 0:
            raise DeadlineExceededError(f"the deadline has passed ({request.summary})")
        return request._replace(deadline=left)

    def read_reply(self, response: Response) -> Reply:
        """Read a 2xx `response` as a Reply, for `send`.  Raises APIResponseValidationError."""
        return reply.require_choices(reply.read_reply(response, self.config.max_bytes), response)

    def report(self, finished: AnyReply) -> AnyReply:
        """Call `on_reply`, outside `send`: an exception of the caller's function does not count as a failed attempt."""
        if self._on_reply:
            self._on_reply(finished)
        return finished

    def open_stream(self, response: Response) -> Stream:
        """Return a 2xx `response` as a Stream, for `send`."""
        return Stream(response, self.config.max_bytes, on_reply=self.report)
