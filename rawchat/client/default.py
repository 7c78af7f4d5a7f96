"""The default client: the one behind `rawchat.chat` and the other functions of the package."""

import threading
from typing import Optional

from . import Client

_client: Optional[Client] = None
_client_lock = threading.Lock()  # so that two threads do not make two


def default_client() -> Client:
    """Return the client of `rawchat.chat` and the other functions, made at the first call from the environment.

    Raises ConfigError.
    """
    global _client
    with _client_lock:
        if _client is None:
            _client = Client()
    return _client
