"""Images: into messages with `image_part`, out of replies with `Pictures.save`."""

import base64
import os
import pathlib
import time
from collections.abc import Mapping
from typing import Any, NamedTuple, Optional, Union

from .config import Config
from .errors import APIResponseValidationError, DeadlineExceededError, RawchatError
from .keys import Secret
from .keys.redaction import redact_url
from .reply import Reply
from .wire import TIMEOUT, Headers, Request, Response, Transport

Path = Union[str, "os.PathLike[str]"]

#: Bytes of the largest image that OpenAI accepts in a message.
MAX_PICTURE_BYTES = 20 * 2**20

#: The first bytes of each type, except WebP, whose mark is not at the start.
MAGIC_NUMBERS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}

# ---- into a message


def image_part(path_or_url: Path, detail: Optional[str] = None) -> dict[str, Any]:
    """Return the content part of a message that holds an image: a file, read now, or a URL, passed on.

        client.chat([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image_part("cat.png")]}])

    `detail` is "low", "high" or "auto" (default: the field is left out).

    Raises ValueError for a file that is not a PNG, JPEG, GIF or WebP image or is over 20 MiB; OSError if it cannot be
    read.
    """
    address = os.fspath(path_or_url)
    if not address.startswith(("https://", "http://", "data:")):
        address = read_data_url(address)
    image_url = {"url": address}
    if detail:
        image_url["detail"] = detail
    return {"type": "image_url", "image_url": image_url}


def read_data_url(path: str) -> str:
    """Return the image in a file as a data URL (RFC 2397)."""
    with open(path, "rb") as file:
        return to_data_url(file.read(MAX_PICTURE_BYTES + 1), path)


def to_data_url(data: bytes, name: str) -> str:
    """Return an image as a data URL; raise a ValueError with `name` for other data, or too much of it."""
    if len(data) > MAX_PICTURE_BYTES:
        raise ValueError(f"{name}: over {MAX_PICTURE_BYTES} bytes; make it smaller")
    kind = mime_type(data)
    if kind is None:
        raise ValueError(f"{name}: not a PNG, JPEG, GIF or WebP picture")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def mime_type(data: bytes) -> Optional[str]:
    """Return the type of an image by its first bytes, or None for a type that servers refuse."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    for start, kind in MAGIC_NUMBERS.items():
        if data.startswith(start):
            return kind
    return None


# ---- out of a reply


class PictureNetwork(NamedTuple):
    """How a client reaches the network: the pictures of its replies are fetched in the same way, without its key."""

    ca_bundle: Optional[str] = None
    environ: Optional[Mapping[str, str]] = None  #: for proxies and certificates; None: os.environ
    proxy: Optional[str] = None
    timeout: tuple[float, float] = TIMEOUT
    deadline: Optional[float] = None  #: seconds that the call has left, for all pictures

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what was given; the environment is that of the process in which it is loaded."""
        return PictureNetwork, tuple(self._replace(environ=None))

    def send(self, request: Request) -> Response:
        """Send the request for a picture.

        Raises RawchatError for a URL that is not https://: a server must not make us send requests within our own
        network.
        """
        if not request.url.startswith("https://"):
            raise RawchatError(
                f"a picture is at {redact_url(request.url)[:80]!r}, which is not https://; pass transport= to fetch it"
            )
        from .transport import over_http  # not above: it loads requests

        return over_http(request.url, self.ca_bundle, self.environ, self.proxy)(request)


def picture_network(config: Config, elapsed: float = 0.0) -> PictureNetwork:
    """Return how a client of this Config reaches the network, after a call that took `elapsed` seconds."""
    deadline = config.deadline
    if deadline is not None:
        deadline -= elapsed
    proxy = config.proxy
    if proxy:
        proxy = Secret(proxy)
    return PictureNetwork(config.ca_bundle, config.network, proxy, config.timeout, deadline)


class Pictures(Reply):
    """The reply to `image`."""

    network = PictureNetwork()  #: of the client that received it

    def save(self, path: Path, transport: Optional[Transport] = None) -> list[str]:
        """Write the images, the first to `path`, further ones beside it (cat.png, cat-2.png); return their paths.

        An image that came as a URL is fetched, without a key, by `transport`.  By default it is fetched from https://
        only, with the proxy, the certificates and the timeout of the client.  The deadline of the client bounds its call
        and this one together.

        Raises APIError if that fails; APIResponseValidationError, before anything is written, for data that is not an image; RawchatError for
        a path that is a symbolic link, which is never followed; OSError with its `filename` if writing fails.
        """
        data = self.get("data")
        if not isinstance(data, list) or not data:
            raise APIResponseValidationError("the reply holds no picture")
        fetch = transport or self.network.send
        deadline = self.network.deadline
        end = None if deadline is None else time.monotonic() + deadline
        images = []
        for picture in data:
            left = None if end is None else end - time.monotonic()
            images.append(picture_bytes(picture, fetch, self.network.timeout, left))
        paths = numbered_paths(pathlib.Path(path), len(images))
        for each, image in zip(paths, images):
            write_image(each, image)
        return paths


def numbered_paths(first: pathlib.Path, count: int) -> list[str]:
    """Return `count` paths: the first as it is, the others with -2, -3 … before the suffix."""
    paths = [str(first)]
    for number in range(2, count + 1):
        paths.append(str(first.with_name(f"{first.stem}-{number}{first.suffix}")))
    return paths


def write_image(path: str, data: bytes) -> None:
    """Write `data` to the file at `path`.

    Raises RawchatError for a symbolic link, whose target is not ours to write; OSError that names the file.
    """
    if os.path.islink(path):
        raise RawchatError(f"{path}: a symbolic link, which is not followed")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    flags |= getattr(os, "O_NOFOLLOW", 0)  # not on Windows
    flags |= getattr(os, "O_BINARY", 0)  # only on Windows
    try:
        with open(os.open(path, flags, 0o666), "wb") as file:
            file.write(data)
    except OSError as error:
        # Python names the file only if opening it failed.
        error.filename = path
        raise


def as_pictures(reply: Reply, config: Config) -> Pictures:
    """Return `reply`, which a client of this Config received, as Pictures, with its metadata."""
    pictures = Pictures(reply)
    pictures.copy_metadata(reply)
    pictures.network = picture_network(config, reply.elapsed)
    return pictures


def picture_bytes(
    picture: Any, fetch: Transport, timeout: tuple[float, float], left: Optional[float]
) -> bytes:
    """Return the bytes of one entry of a reply's `data`, which holds base64 or a URL; `left` is what the deadline leaves.

    Raises APIResponseValidationError if it holds neither, or something that is not an image.
    """
    data = None
    try:
        if picture.get("b64_json"):
            data = base64.b64decode(without_prefix(picture["b64_json"]))
        else:
            data = fetch_picture(picture["url"], fetch, timeout, left)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    if data is None:
        raise APIResponseValidationError("a picture of the reply is neither base64 nor a URL")
    if mime_type(data) is None:
        raise APIResponseValidationError("the download is not a picture (PNG, JPEG, GIF or WebP)")
    return data


def without_prefix(text: str) -> str:
    """Return base64 without the prefix of a data URL, `data:image/png;base64,`, that some servers put before it."""
    if text.startswith("data:"):
        return text.partition(",")[2]
    return text


def fetch_picture(
    url: str, fetch: Transport, timeout: tuple[float, float], left: Optional[float]
) -> bytes:
    """Return the bytes at `url`, fetched in the seconds that are `left` of the deadline."""
    request = Request("GET", url, Headers({"Accept": "image/*"}), timeout=timeout, deadline=left)
    if left is not None and left <= 0:
        raise DeadlineExceededError(f"the deadline has passed ({request.summary})")
    response = fetch(request)
    data = response.read()
    if response.status != 200:
        raise APIResponseValidationError(f"{response.status} for the picture ({response.summary})")
    return data
