"""Forms: the bytes of multipart/form-data, and what counts as a file."""

import io
import pathlib
from typing import Any

import pytest

from rawchat.resources.multipart import Form, flatten, holds_file, quote_name

row = pytest.mark.row


def body_of(form: Form) -> bytes:
    return b"".join(form.open())


def form_of(**fields: Any) -> str:
    """The body of a form whose boundary is "b", with LF for its line ends."""
    form = Form(fields, boundary="b")
    body = body_of(form)
    assert form.length == len(body)
    return body.decode().replace("\r\n", "\n")


def text_part(name: str, value: str) -> str:
    return f'--b\nContent-Disposition: form-data; name="{name}"\n\n{value}\n'


@row("14.4")
def test_texts_come_first_then_files(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "hi.txt"
    path.write_bytes(b"Hello")
    assert form_of(file=path, model="whisper-1") == (
        text_part("model", "whisper-1")
        + '--b\nContent-Disposition: form-data; name="file"; filename="hi.txt"\n'
        + "Content-Type: text/plain\n\nHello\n--b--\n"
    )


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        ("x", [("f", "x")]),
        (1, [("f", "1")]),
        (0.5, [("f", "0.5")]),
        (True, [("f", "true")]),
        (False, [("f", "false")]),
        (None, []),
        ("", [("f", "")]),
        (["a", "b"], [("f[]", "a"), ("f[]", "b")]),
        ({"a": 1, "b": {"c": [2]}}, [("f[a]", "1"), ("f[b][c][]", "2")]),
        ([{"a": 1}], [("f[][a]", "1")]),
    ],
)
def test_values_are_written_as_the_sdk_writes_them(
    value: Any, fields: list[tuple[str, str]]
) -> None:
    assert list(flatten("f", value)) == fields


@row("14.4")
@pytest.mark.parametrize(
    ("name", "quoted"),
    [
        ('a"b', "a%22b"),
        ("a\r\nb", "a%0D%0Ab"),
        ("a\x00", "a%00"),
        ("été 猫.wav", "été 猫.wav"),
        ("a\\b", "a\\b"),  # the WHATWG leaves it; the SDK doubles it
        ("a%22", "a%22"),
    ],
)
def test_names_are_quoted_as_browsers_do(name: str, quoted: str) -> None:
    assert quote_name(name) == quoted
    assert f'filename="{quoted}"' in form_of(file=(name, b"x"))


@pytest.mark.parametrize(
    ("value", "headers"),
    [
        (("a.json", b"{}"), 'filename="a.json"\nContent-Type: application/json'),
        (("a.json", b"{}", "x/y"), 'filename="a.json"\nContent-Type: x/y'),
        (("a", b""), 'filename="a"\nContent-Type: application/octet-stream'),
        ((None, b"{}", "application/json"), 'name="f"\nContent-Type: application/json'),
        (("a.txt", bytearray(b"x")), 'filename="a.txt"\nContent-Type: text/plain'),
        (("a.txt", io.BytesIO(b"x")), 'filename="a.txt"\nContent-Type: text/plain'),
        (io.BytesIO(b"x"), 'filename="upload"\nContent-Type: application/octet-stream'),
    ],
)
def test_a_file_has_a_name_and_a_type(value: Any, headers: str) -> None:
    assert headers + "\n\n" in form_of(f=value)


def test_files_stand_in_lists_and_objects_too(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"1")
    body = form_of(image=[path, ("b.txt", b"2")], deep={"in": ("c.txt", b"3")})
    assert body.count('name="image[]"; filename="') == 2
    assert 'name="deep[in]"; filename="c.txt"' in body


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("a.wav", False),
        (b"a", False),
        (("a", "b"), False),
        (("a", b"b"), True),
        ([("a", b"b")], True),
        ((1, b"b"), False),
        (pathlib.Path("a"), True),
        ({"x": [{"y": io.BytesIO()}]}, True),
        (("a", b"b", "c", "d"), False),
    ],
)
def test_what_counts_as_a_file(value: Any, is_one: bool) -> None:
    assert holds_file({"file": value}) is is_one


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"f": ("a", b""), "g": b"x"}, TypeError, "g: bytes need the name of a file"),
        ({"f": ("a", b""), "g": {1}}, TypeError, "g: set cannot be a field of a form"),
        ({"f": ("a", b""), "g": "\ud800"}, ValueError, r"g: lone surrogate U\+D800 at position 1"),
        ({"f": ("a", b"", "x/y\r\nX: 1")}, ValueError, "f: not a content type"),
        ({"f": io.StringIO("x")}, TypeError, r"upload: the file is open as text: use open\(path"),
    ],
)
def test_what_cannot_be_sent_is_refused_with_its_name(
    fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Form(fields)


def test_a_name_on_disk_that_is_not_utf_8_is_sent_as_it_is() -> None:
    form = Form({"f": (b"\xff.bin".decode("utf-8", "surrogateescape"), b"x")}, boundary="b")
    assert b'filename="\xff.bin"' in body_of(form)


def test_a_boundary_is_random_and_stands_in_the_content_type() -> None:
    first, second = Form({"f": ("a", b"x")}), Form({"f": ("a", b"x")})
    assert first.boundary != second.boundary
    assert len(first.boundary) == 32
    assert first.content_type == f"multipart/form-data; boundary={first.boundary}"


def test_a_log_shows_the_texts_and_the_sizes_of_files() -> None:
    form = Form({"model": "m", "file": ("a.bin", b"\xff" * 1000)}, boundary="b")
    assert b"[1000 bytes]" in form.excerpt
    assert b"\xff" not in form.excerpt
    assert len(form.excerpt) < 300
