"""The verbs beside `chat`: structured output, and one verb for each further endpoint.  `Client` inherits them."""

from typing import TYPE_CHECKING, Any, Callable, TypeVar, Union, overload

from ..config import Config
from ..config.misnamed import no_such_attribute
from ..endpoints import Messages, others
from ..reply import Reply
from ..stream import Stream
from ..wire import Request, Response

if TYPE_CHECKING:
    from ..images import Pictures
    from ..resources import ByteStream
    from ..resources.embeddings import Embeddings

Answer = TypeVar("Answer")
Instance = TypeVar("Instance")
AnyReply = TypeVar("AnyReply", bound=Reply)


class Verbs:
    """The verbs beside `chat`; each builds a Request, and sends and reads it by the methods of `Client`."""

    if TYPE_CHECKING:
        config: Config

        def chat(self, messages: Messages, **params: Any) -> Reply: ...
        def send(self, request: Request, read: Callable[[Response], Answer]) -> Answer: ...
        def read_reply(self, response: Response) -> Reply: ...
        def open_stream(self, response: Response) -> Stream: ...
        def report(self, finished: AnyReply) -> AnyReply: ...
    else:  # or a type checker would accept every name
        __getattr__ = no_such_attribute

    @overload
    def parse(self, messages: Messages, into: type[Instance], **params: Any) -> Instance: ...
    @overload
    def parse(self, messages: Messages, into: Any, **params: Any) -> Any: ...
    def parse(self, messages: Messages, into: Any, **params: Any) -> Any:
        """Send `messages` and return the reply as an instance of `into`.

        `into` is a dataclass, TypedDict, Enum, Literal, Optional, list, or pydantic model.  Raises TypeError for a
        type that has no JSON schema, and what `schema.build.parse_reply` raises.
        """
        # Imported here: they load `inspect`, an eighth of the time to import rawchat.
        from .. import schema
        from ..schema import build

        params = {"response_format": schema.response_format(into), **params}
        return build.parse_reply(self.chat(messages, **params), into)

    def complete(self, prompt: Union[str, list[Any]], **params: Any) -> Reply:
        """Continue a text with the legacy completions endpoint, and return the whole Reply."""
        request = others.completion(self.config, prompt, params)
        return self.report(self.send(request, self.read_reply))

    def stream_complete(self, prompt: Union[str, list[Any]], **params: Any) -> Stream:
        """Continue a text, and return what is added as a Stream, to be read while it is generated."""
        request = others.completion(self.config, prompt, params, stream=True)
        return self.send(request, self.open_stream)

    def moderate(self, input: Union[str, list[Any]], **params: Any) -> Reply:
        """Classify a text as harmful or not: see `.flagged` and `.categories` of the Reply, details in "results"."""
        request = others.moderation(self.config, input, params)
        return self.report(self.send(request, self.read_reply))

    def image(self, prompt: str, **params: Any) -> "Pictures":
        """Generate pictures; they are in reply["data"] as URLs or base64, and `.save(path)` writes them."""
        from ..images import as_pictures  # loaded when used

        request = others.image(self.config, prompt, params)
        answer = self.send(request, self.read_reply)
        return self.report(as_pictures(answer, self.config))

    def models(self, **params: Any) -> Reply:
        """List the models of the server, in reply["data"]."""
        return self.report(self.send(others.models(self.config, params), self.read_reply))

    def model(self, id: str, **params: Any) -> Reply:
        """Return what the server knows about one model."""
        return self.report(self.send(others.model(self.config, id, params), self.read_reply))

    # ---- any endpoint; parameters, results and errors are those of the functions of `resources`, loaded when used

    def post(self, path: str, body: Any = None, **params: Any) -> Any:
        """Send a dict (which may hold files), a list or bytes to any path; return a Reply, other JSON, or Content."""
        from .. import resources

        return resources.call(self, "POST", path, body, params)

    def get(self, path: str, **params: Any) -> Any:
        """Get any path, with `params` in its query; return what `post` does."""
        from .. import resources

        return resources.call(self, "GET", path, None, params)

    def delete(self, path: str, **params: Any) -> Any:
        """Delete any path, with `params` in its query; return what `post` does."""
        from .. import resources

        return resources.call(self, "DELETE", path, None, params)

    def stream(self, path: str, body: Any = None, **params: Any) -> Any:
        """Send a body to any path, or get it; return an EventStream or a ByteStream, read while it arrives."""
        from .. import resources

        return resources.stream(self, path, body, params)

    def embed(self, input: Any, **params: Any) -> "Embeddings":
        """Return the vectors of one or more texts, in `.embeddings`."""
        from ..resources.embeddings import embed

        return embed(self, input, **params)

    def transcribe(self, file: Any, **params: Any) -> Any:
        """Return what is said in a recording as a Reply, or with stream=True as an EventStream."""
        from ..resources.audio import transcribe

        return transcribe(self, file, **params)

    def speak(self, text: str, **params: Any) -> "ByteStream":
        """Return the sound of a text as a ByteStream, to be iterated over, saved or read while it arrives."""
        from ..resources.audio import speak

        return speak(self, text, **params)
