"""Images: into messages with `image_part`, out of replies with `Pictures.save`."""

import base64
import os
import pathlib
from typing import Any, Optional, Union

from .errors import APIResponseValidationError, RawchatError
from .keys.redaction import redact_url
from .reply import Reply
from .wire import Headers, Request, Transport

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


class Pictures(Reply):
    """The reply to `image`."""

    def save(self, path: Path, transport: Optional[Transport] = None) -> list[str]:
        """Write the images, the first to `path`, further ones beside it (cat.png, cat-2.png); return their paths.

        An image that came as a URL is fetched, without a key, by `transport` (default: `over_http`).

        Raises APIResponseValidationError, before anything is written, for data that is not an image; RawchatError for
        a path that is a symbolic link, which is never followed; OSError with its `filename` if writing fails.
        """
        data = self.get("data")
        if not isinstance(data, list) or not data:
            raise APIResponseValidationError("the reply holds no picture")
        images = [picture_bytes(picture, transport) for picture in data]
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


def as_pictures(reply: Reply) -> Pictures:
    """Return `reply` as Pictures, with its metadata."""
    pictures = Pictures(reply)
    pictures.copy_metadata(reply)
    return pictures


def picture_bytes(picture: Any, transport: Optional[Transport]) -> bytes:
    """Return the bytes of one entry of a reply's `data`, which holds base64 or a URL.

    Raises APIResponseValidationError if it holds neither, or something that is not an image.
    """
    data = None
    try:
        if picture.get("b64_json"):
            data = base64.b64decode(without_prefix(picture["b64_json"]))
        else:
            data = fetch_picture(picture["url"], transport)
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    if data is None:
        raise APIResponseValidationError("a picture of the reply is neither base64 nor a URL")
    if mime_type(data) is None:
        raise APIResponseValidationError("the data is not a picture (PNG, JPEG, GIF or WebP)")
    return data


def without_prefix(text: str) -> str:
    """Return base64 without the prefix of a data URL, `data:image/png;base64,`, that some servers put before it."""
    if text.startswith("data:"):
        return text.partition(",")[2]
    return text


def fetch_picture(url: str, transport: Optional[Transport]) -> bytes:
    """Return the bytes at `url`; without a transport of the caller's, only https:// is fetched."""
    if transport is None:
        if not url.startswith("https://"):
            # A server must not make us send requests within our own network.
            raise RawchatError(
                f"a picture is at {redact_url(url)[:80]!r}, which is not https://; pass transport= to fetch it"
            )
        from .transport import over_http  # not above: it loads requests

        transport = over_http(url)
    response = transport(Request("GET", url, Headers({"Accept": "image/*"})))
    data = response.read()
    if response.status != 200:
        raise APIResponseValidationError(f"{response.status} for the picture ({response.summary})")
    return data
