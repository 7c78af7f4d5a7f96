"""What a client is made with: its settings, the world around it, and the transport, from its making to its end."""

import os
import random as chance
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Callable, Optional, TypeVar, Union

from . import config
from .bounds import Timeout, parameters
from .keys import ApiKey
from .reply import Reply
from .ring import Ring
from .wire import Transport

Self = TypeVar("Self", bound="Base")
WORLD: dict[str, Any] = {
    "sleep": time.sleep,
    "random": chance.random,
    "now": time.time,
    "clock": time.monotonic,
}


class Base:
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
        self.config = config.load({**given, "base_url": base_url, "params": params}, environ)
        self._transport, self._lock = transport, threading.Lock()
        self._on_reply = on_reply or (lambda reply: None)
        self._sleep, self._random, self._now, self._clock = sleep, random, now, clock
        self._closed = False
        self._ring = Ring(self.config.keys, clock, now, self.config.rotate_after)

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
        Base.__init__(self, **given)
