"""The client of those who did not make one: the module's verbs, and conversations without a client, ask it."""

import threading
from typing import Optional

from .client import Client

_client: Optional[Client] = None
_making = threading.Lock()  # two threads at once shall not make two


def default_client() -> Client:
    """Made at the first call, with settings from the environment; the same one from then on.  Raises ConfigError."""
    global _client
    with _making:
        if _client is None:
            _client = Client()
    return _client
