"""Pictures: into messages by `image_part`, out of replies by `Pictures.save`."""

import base64
import os
import pathlib
from typing import Any, Optional, Union

from .errors import APIResponseValidationError, RawchatError
from .reply import Reply
from .urls import redact_url
from .wire import Headers, Request, Transport

Path = Union[str, "os.PathLike[str]"]


MAX_PICTURE_BYTES = 20 * 2**20  #: the largest picture: what OpenAI has taken in a message


MAGIC_NUMBERS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}


def image_part(path_or_url: Path, detail: Optional[str] = None) -> dict[str, Any]:
    """The part of a message's content that shows a picture: a file, which is read now, or a URL, which is passed on.

        client.chat([{"role": "user", "content": [{"type": "text", "text": "What is it?"}, image_part("cat.png")]}])

    Raises ValueError for a file that is no PNG, JPEG, GIF or WebP, or over 20 MiB; OSError if it cannot be read.
    """
    given = os.fspath(path_or_url)
    address = given if given.startswith(("https://", "http://", "data:")) else data_url(given)
    return {
        "type": "image_url",
        "image_url": {"url": address, **({"detail": detail} if detail else {})},
    }


def data_url(path: str) -> str:
    """The picture in a file as a data URL (RFC 2397)."""
    with open(path, "rb") as file:
        return to_data_url(file.read(MAX_PICTURE_BYTES + 1), path)


def to_data_url(data: bytes, name: str) -> str:
    """A picture as a data URL; `name` is for the ValueError about what is none, or too large."""
    if len(data) > MAX_PICTURE_BYTES:
        raise ValueError(f"{name}: over {MAX_PICTURE_BYTES} bytes; make it smaller")
    kind = mime_type(data)
    if kind is None:
        raise ValueError(f"{name}: not a PNG, JPEG, GIF or WebP picture")
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def mime_type(data: bytes) -> Optional[str]:
    """The type of a picture by its first bytes, whatever its file is called; None for all that servers refuse."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for start, kind in MAGIC_NUMBERS.items() if data.startswith(start)), None)


class Pictures(Reply):
    """The reply to `image`."""

    def save(self, path: Path, transport: Optional[Transport] = None) -> list[str]:
        """Write the pictures: the first to `path`, further ones beside it (cat.png, cat-2.png), and give their paths.

        A picture that came as a URL is fetched, without a key, by `transport` (default: `over_http`).  Raises
        APIResponseValidationError, before anything is written, for what is no picture; RawchatError for a path that is
        a symbolic link, which is never followed; OSError, with its `filename`, for what cannot be written.
        """
        data = self.get("data")
        if not isinstance(data, list) or not data:
            raise APIResponseValidationError("the reply holds no picture")
        fetched = [picture_bytes(picture, transport) for picture in data]
        first = pathlib.Path(path)
        paths = [
            first,
            *(
                first.with_name(f"{first.stem}-{number}{first.suffix}")
                for number in range(2, len(fetched) + 1)
            ),
        ]
        for each, picture in zip(paths, fetched):
            write(str(each), picture)
        return [str(each) for each in paths]


def write(path: str, data: bytes) -> None:
    """Make the file at `path` hold `data`; raises RawchatError for a symbolic link, OSError that names the file."""
    if os.path.islink(path):  # what it points at is not ours to write
        raise RawchatError(f"{path}: a symbolic link, which is not followed")
    flags = (
        os.O_WRONLY
        | os.O_CREAT
        | os.O_TRUNC
        | getattr(os, "O_NOFOLLOW", 0)
        | getattr(os, "O_BINARY", 0)
    )
    try:
        with open(os.open(path, flags, 0o666), "wb") as file:
            file.write(data)
    except OSError as error:
        error.filename = path  # Python tells it only of a file that cannot be opened
        raise


def as_pictures(reply: Reply) -> Pictures:
    """`reply` with a way to save what is in it."""
    made = Pictures(reply)
    made.__dict__.update(reply.__dict__)
    return made


def picture_bytes(picture: dict[str, Any], transport: Optional[Transport]) -> bytes:
    """The bytes of one picture of a reply."""
    try:
        data = (
            base64.b64decode(picture["b64_json"])
            if picture.get("b64_json")
            else fetch_picture(picture["url"], transport)
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise APIResponseValidationError(
            "a picture of the reply is neither base64 nor a URL"
        ) from None
    if mime_type(data) is None:
        raise APIResponseValidationError("what came is not a picture (PNG, JPEG, GIF or WebP)")
    return data


def fetch_picture(url: str, transport: Optional[Transport]) -> bytes:
    if (
        not url.startswith("https://") and transport is None
    ):  # a server must not point us at our own network
        shown = redact_url(url)[:80]
        raise RawchatError(
            f"a picture is at {shown!r}, which is not https://; pass transport= to fetch it"
        )
    if transport is None:
        from .transport import over_http  # here, not above: it loads requests

        with_default = over_http(url)
    response = (transport or with_default)(Request("GET", url, Headers({"Accept": "image/*"})))
    data = response.read()
    if response.status != 200:
        raise APIResponseValidationError(f"{response.status} for the picture ({response.summary})")
    return data
