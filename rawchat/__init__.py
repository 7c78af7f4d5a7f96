"""rawchat: an OpenAI-compatible client made by hand, to be read.

The life of one call, in reading order; `make read` prints these files.  Of a folder it is the `__init__`, which leads
to the chapters behind it:

    errors      the tree of exceptions, and which of them are worth a retry
    wire/       Request, Response: the interface between client and transport (headers, tap, json_text)
    urls/       the base URL, paths and queries (origins: where a key may go, redirects)
    keys/       API keys: validate one, send it (pool: choose among several; credentials; redaction)
    config/     settings: arguments > environment > .env > defaults (dotenv, checks, misnamed)
    endpoints/  chat -> Request (others: one function for each other endpoint)
    backoff     the whole retry decision, and its delays
    deadline/   a bound on the whole call (cancel: from another thread)
    sse         bytes -> server-sent events
    reply/      Reply, Chunk, or the error in their place (other_form: a stream for a plain call, and the reverse)
    merge/      deltas -> one message (values, tool_calls)
    stream      Stream: a reply read while it is generated
    client/     chat, stream_chat and `send` (verbs: the other verbs)
    transport/  the network: over_http (connection, responses, failures, proxies, fast)

Beside it `compat/`: all that servers do differently, from the spelling of an error to what they refuse; `cache` (the
smallest wrapper of a transport), `images`, `usage`, and `safe_path` (for commands).  That is the core.

Built on it, each folder under its public name, to be deleted if it is not needed: `schema` (structured output),
`history` (conversations), `resources` (any endpoint: embeddings, audio, files), `tools` (the tool loop), `limits` (rate
limiter, circuit breaker), `trace` (watch the wire), `aio` (await the verbs), `bulk` (many prompts), `local` (a small
model on this machine), `doctor` (find what fails between here and a model), `cli` (python -m rawchat).

>>> import rawchat
>>> reply = rawchat.chat("Say hi")                                                  # doctest: +SKIP
>>> with rawchat.stream_chat("Say hi") as stream:                                   # doctest: +SKIP
...     for piece in stream.texts():
...         print(piece, end="", flush=True)

Importing rawchat reads no file and no environment, opens nothing, and loads nothing more: each name below is loaded
when it is first used.
"""

# ruff: noqa: F405, RUF022  # the names of errors are imported by a star; the order is: classes, verbs
import importlib

# `typing` is not imported here: this file is run before `python -m rawchat` takes the working directory off sys.path.
TYPE_CHECKING = False  # type checkers take this name for True, wherever it comes from
if TYPE_CHECKING:
    from typing import Any, Literal, Union, overload

    from . import (
        aio as aio,
    )
    from . import (
        bulk as bulk,
    )
    from . import (
        cache as cache,
    )
    from . import (
        errors as errors,
    )
    from . import (
        limits as limits,
    )
    from . import (
        local as local,
    )
    from . import (
        resources as resources,
    )
    from . import (
        schema as schema,
    )
    from . import (
        stream as stream,
    )
    from . import (
        tools as tools,
    )
    from . import (
        trace as trace,
    )
    from . import (
        transport as transport,
    )
    from .aio import AsyncClient as AsyncClient
    from .client import Client as Client
    from .client import Instance
    from .endpoints import Messages
    from .errors import *  # noqa: F403
    from .history import History as History
    from .images import Pictures as Pictures
    from .images import image_part as image_part
    from .reply import Chunk as Chunk
    from .reply import Reply as Reply
    from .resources import ByteStream, EventStream
    from .resources.embeddings import Embeddings
    from .stream import Stream as Stream
    from .usage import Meter as Meter
    from .usage import Usage as Usage
    from .wire import Headers as Headers
    from .wire import Request as Request
    from .wire import Response as Response
    from .wire import __version__ as __version__

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AsyncClient",
    "AuthenticationError",
    "BadRequestError",
    "Chunk",
    "Client",
    "CircuitOpenError",
    "ConfigError",
    "ConflictError",
    "ContentFilterFinishReasonError",
    "ContextLengthExceededError",
    "DeadlineExceededError",
    "Headers",
    "History",
    "InternalServerError",
    "LengthFinishReasonError",
    "Meter",
    "MissingKeyError",
    "NotFoundError",
    "OpenAIError",
    "PermissionDeniedError",
    "Pictures",
    "RateLimitError",
    "RawchatError",
    "Reply",
    "Request",
    "Response",
    "Stream",
    "StreamInterruptedError",
    "StreamTimeoutError",
    "ToolRoundsError",
    "UnprocessableEntityError",
    "Usage",
    "image_part",
    "chat",
    "stream_chat",
    "parse",
    "complete",
    "stream_complete",
    "moderate",
    "image",
    "models",
    "model",
    "post",
    "get",
    "delete",
    "stream_post",
    "embed",
    "transcribe",
    "speak",
    "__version__",
]

# The modules that users name; with __all__, they are what `dir(rawchat)` shows.
PUBLIC_MODULES = [
    "aio",
    "bulk",
    "cache",
    "errors",
    "limits",
    "local",
    "resources",
    "schema",
    "stream",
    "tools",
    "trace",
    "transport",
]

# The module of each class that is loaded when it is first used.
HOMES = {
    "AsyncClient": "aio",
    "Client": "client",
    "Chunk": "reply",
    "Headers": "wire",
    "__version__": "wire",
    "History": "history",
    "Meter": "usage",
    "Pictures": "images",
    "Reply": "reply",
    "Request": "wire",
    "Response": "wire",
    "Stream": "stream",
    "Usage": "usage",
    "image_part": "images",
    **{name: "errors" for name in __all__ if name.endswith("Error")},
}


def default_client() -> "Client":
    """Return the client behind the functions of this module, made at the first call from the environment."""
    from .client.default import default_client

    return default_client()


def chat(messages: "Messages", **params: "Any") -> "Reply":
    """Send `messages` and return the whole Reply: `Client.chat` of the default client."""
    return default_client().chat(messages, **params)


def stream_chat(messages: "Messages", **params: "Any") -> "Stream":
    """Send `messages` and return the reply as a Stream: `Client.stream_chat` of the default client."""
    return default_client().stream_chat(messages, **params)


if TYPE_CHECKING:

    @overload
    def parse(messages: "Messages", into: "type[Instance]", **params: Any) -> "Instance": ...
    @overload
    def parse(messages: "Messages", into: Any, **params: Any) -> Any: ...
    def parse(messages: "Messages", into: Any, **params: Any) -> Any: ...
else:

    def parse(messages: "Messages", into: "Any", **params: "Any") -> "Any":
        """Return the reply as an instance of a dataclass or another type: `Client.parse` of the default client."""
        return default_client().parse(messages, into, **params)


def complete(prompt: "Union[str, list[Any]]", **params: "Any") -> "Reply":
    """Continue a text: `Client.complete` of the default client."""
    return default_client().complete(prompt, **params)


def stream_complete(prompt: "Union[str, list[Any]]", **params: "Any") -> "Stream":
    """Continue a text, read while it is generated: `Client.stream_complete` of the default client."""
    return default_client().stream_complete(prompt, **params)


def moderate(input: "Union[str, list[Any]]", **params: "Any") -> "Reply":
    """Classify a text as harmful or not: `Client.moderate` of the default client."""
    return default_client().moderate(input, **params)


def image(prompt: str, **params: "Any") -> "Pictures":
    """Generate pictures: `Client.image` of the default client."""
    return default_client().image(prompt, **params)


def models(**params: "Any") -> "Reply":
    """List the models of the server: `Client.models` of the default client."""
    return default_client().models(**params)


def model(id: str, **params: "Any") -> "Reply":
    """Return what the server knows about one model: `Client.model` of the default client."""
    return default_client().model(id, **params)


def post(path: str, body: "Any" = None, **params: "Any") -> "Any":
    """Send `body` to any path: `Client.post` of the default client."""
    return default_client().post(path, body, **params)


def get(path: str, **params: "Any") -> "Any":
    """Get any path: `Client.get` of the default client."""
    return default_client().get(path, **params)


def delete(path: str, **params: "Any") -> "Any":
    """Delete any path: `Client.delete` of the default client."""
    return default_client().delete(path, **params)


def stream_post(path: str, body: "Any" = None, **params: "Any") -> "Any":
    """Send `body` to any path, and return the answer while it arrives: `Client.stream` of the default client.

    The name `rawchat.stream` is taken by the module.
    """
    return default_client().stream(path, body, **params)


def embed(input: "Any", **params: "Any") -> "Embeddings":
    """Return the vectors of texts: `Client.embed` of the default client."""
    return default_client().embed(input, **params)


if TYPE_CHECKING:

    @overload
    def transcribe(
        file: Any, model: str = ..., stream: Literal[False] = False, **params: Any
    ) -> "Reply": ...
    @overload
    def transcribe(
        file: Any, model: str = ..., *, stream: Literal[True], **params: Any
    ) -> "EventStream": ...
    def transcribe(file: Any, model: str = ..., stream: bool = False, **params: Any) -> Any: ...
else:

    def transcribe(file: "Any", **params: "Any") -> "Any":
        """Return what is said in a recording: `Client.transcribe` of the default client."""
        return default_client().transcribe(file, **params)


def speak(text: str, **params: "Any") -> "ByteStream":
    """Return the sound of a text: `Client.speak` of the default client."""
    return default_client().speak(text, **params)


if not TYPE_CHECKING:  # or a type checker would accept every name

    def __getattr__(name: str) -> "Any":
        """Load a public name or a module when it is first used (PEP 562)."""
        if name in HOMES:
            return getattr(importlib.import_module(f".{HOMES[name]}", __name__), name)
        missing = AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if name.startswith("_"):
            raise missing
        try:
            return importlib.import_module(f".{name}", __name__)
        except ModuleNotFoundError as error:
            raise missing if error.name == f"{__name__}.{name}" else error from None


def __dir__() -> list[str]:
    return sorted([*__all__, *PUBLIC_MODULES])
