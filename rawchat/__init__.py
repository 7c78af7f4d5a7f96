"""rawchat: an OpenAI-compatible client made by hand, to be read.

The path of a request, in reading order; an import only ever points to what stands above, or beside:

    errors      all that can go wrong, as a tree
    backoff     is it worth another try, and when?
    wire        Request and Response: the narrow waist          headers   their fields, checked, secrets hidden
    reply       the JSON of an answer, with names               refusals  what comes instead of one
    config      arguments > environment > .env > defaults       dotenv, bounds   that file; what is a number
                                                                keys, ring   credentials, hidden; whose turn it is
                                                                urls      where requests may go
    endpoints   arguments → Request                             encode, fallback   its body; of several models
    stream      bytes → events → chunks → Reply                 events, chunk, merge   each of these steps
    transport   the network                                     connection, chunked, alarm   what HTTP needs here
    client      the verbs, and the life of a request            base, default   how it is made, and the first

and what people do with it:

    schema, typed, parsed       Python types → JSON schema; JSON → instances; for `parse`   (fields: what is in a type)
    usage, estimate             tokens that were used, and their price; tokens that nobody has counted yet
    history     conversations                                   window, jsonl   which messages are sent; in a file
    tools       functions that the model may call               calls     what becomes of a call
    images      pictures in messages, and out of replies
    limits      how much goes out, and when it is no use        gate, turns, budget   where it waits, and for what
    cache       the same question, the same answer
    bulk        many prompts at once                            batch     the lines that they come in
    aio         the verbs, awaited                              threads   that do the work

The files on the left are the path; what stands beside one of them is a detail that it needs.  `trace` and `har` watch a
transport from outside.

and its doors: `local`, a small real model on this machine, and `cli` (python -m rawchat):

    options     every option, as data                           precedence  which of them apply; completion: scripts
    prompt      the words, standard input, files                attach      pictures and texts beside them
    shorthand   what --schema means                             fit         does an answer fit it?
    question    what is asked                                   preview     ... shown, not sent
    settings    whom to ask                                     connect     a client for it; watch: what it does
    answer      what comes, shown                               toolbox     functions of a file, each call approved
    verdict     is it what was asked for?
    talk        the chat prompt                                 lines, session   what is typed there; what it does
    saved       -c: a conversation that goes on                 state       where it lies
    output      standard output                                 notes       standard error
    record      -v and --log                                    facts       of a call
                                                                private     files for their owner only
    approval    may the model call it?                      safe_path   no module from the working directory

>>> import rawchat
>>> reply = rawchat.chat("Say hi")                                                  # doctest: +SKIP
>>> with rawchat.stream_chat("Say hi") as stream:                                   # doctest: +SKIP
...     for piece in stream.texts():
...         print(piece, end="", flush=True)

Importing it reads nothing, opens nothing and loads nothing more: each name below is loaded when it is first used.
"""

# ruff: noqa: F405, RUF022  # the names of errors come by a star; the order is: classes, verbs
import importlib

# `typing` is not imported here: this file is run before `python -m rawchat` takes the working directory off sys.path.
TYPE_CHECKING = False  # type checkers take this name for True, wherever it comes from
if TYPE_CHECKING:
    from typing import Any, overload

    from .client import Client as Client
    from .client import Instance
    from .endpoints import Messages
    from .errors import *  # noqa: F403
    from .history import History as History
    from .images import Pictures as Pictures
    from .images import image_part as image_part
    from .reply import Chunk as Chunk
    from .reply import Reply as Reply
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
    "__version__",
]
HOMES = {
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
    """The client behind the verbs of this module: made at the first call, with settings from the environment."""
    from .client import default_client

    return default_client()


def chat(messages: "Messages", **params: "Any") -> "Reply":
    """Ask, and wait for the whole answer: `Client.chat` of the default client."""
    return default_client().chat(messages, **params)


def stream_chat(messages: "Messages", **params: "Any") -> "Stream":
    """Ask, and read the answer while it is made: `Client.stream_chat` of the default client."""
    return default_client().stream_chat(messages, **params)


if TYPE_CHECKING:

    @overload
    def parse(messages: "Messages", into: "type[Instance]", **params: Any) -> "Instance": ...
    @overload
    def parse(messages: "Messages", into: Any, **params: Any) -> Any: ...
    def parse(messages: "Messages", into: Any, **params: Any) -> Any: ...
else:

    def parse(messages: "Messages", into: "Any", **params: "Any") -> "Any":
        """Ask for an instance of a dataclass or other type: `Client.parse` of the default client."""
        return default_client().parse(messages, into, **params)


def complete(prompt: "Any", **params: "Any") -> "Reply":
    """Go on with a text: `Client.complete` of the default client."""
    return default_client().complete(prompt, **params)


def stream_complete(prompt: "Any", **params: "Any") -> "Stream":
    """Go on with a text, read while it is made: `Client.stream_complete` of the default client."""
    return default_client().stream_complete(prompt, **params)


def moderate(input: "Any", **params: "Any") -> "Reply":
    """Is this text harmful?  `Client.moderate` of the default client."""
    return default_client().moderate(input, **params)


def image(prompt: str, **params: "Any") -> "Pictures":
    """Draw a picture: `Client.image` of the default client."""
    return default_client().image(prompt, **params)


def models(**params: "Any") -> "Reply":
    """The models that the server has: `Client.models` of the default client."""
    return default_client().models(**params)


def model(id: str, **params: "Any") -> "Reply":
    """What the server says about one model: `Client.model` of the default client."""
    return default_client().model(id, **params)


if not TYPE_CHECKING:  # a type checker shall see a name that is not there

    def __getattr__(name: str) -> "Any":
        """A public name or a module, loaded when it is first used (PEP 562)."""
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
    import pkgutil

    return sorted(
        {*globals(), *__all__, *(module.name for module in pkgutil.iter_modules(__path__))}
    )
