"""The plan of stage 1, made from the settings: the server, the proxy, the CA bundle, and how requests are built."""

from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

from .settings import Proxy, Target

STEP_SECONDS = 10.0  #: default bound on one step
MODEL_SECONDS = 60.0  #: default bound on an answer of the model: a server may have to load it first

Ask = Callable[[str, str, Optional[dict[str, Any]]], tuple[str, dict[str, str]]]


class Plan(NamedTuple):
    """The settings of one run, checked, as far as stage 1 needs them."""

    base_url: str
    target: Target
    proxy: Optional[Proxy]
    ca_bundle: str
    sources: Mapping[str, str]  #: by the name of the setting
    has_key: bool
    model: str
    request: Ask  #: method, path and body -> URL and headers, the key among them
    timeout: float = STEP_SECONDS
    model_timeout: float = MODEL_SECONDS

    @property
    def is_socks(self) -> bool:
        """Return whether the proxy is a SOCKS proxy."""
        return bool(self.proxy and self.proxy.scheme.startswith("socks"))

    @property
    def is_secure(self) -> bool:
        """Return whether the server is reached over TLS; an HTTP proxy is then asked for a tunnel."""
        return self.target.scheme == "https"

    @property
    def is_forwarded(self) -> bool:
        """Return whether the proxy receives whole requests in place of a tunnel."""
        return bool(self.proxy) and not self.is_secure and not self.is_socks

    @property
    def first_stop(self) -> tuple[str, int]:
        """Return host and port of the first connection: the proxy's if there is one."""
        place = self.proxy or self.target
        return place.host, place.port
