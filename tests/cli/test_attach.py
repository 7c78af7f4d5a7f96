"""--attach: what reaches the server, and what is refused."""

import base64
import os
import pathlib
from typing import Any

import pytest

from rawchat.cli.inputs import with_attachments

from ..command import Run, line
from ..server import serving, streamed

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
IMAGE = {
    "type": "image_url",
    "image_url": {"url": "data:image/png;base64," + base64.b64encode(PNG).decode()},
}
LINK = {"type": "image_url", "image_url": {"url": "https://h.example/cat.png"}}
NOTES = {"type": "text", "text": "notes.txt:\n```\nnaïve\n```"}


@pytest.fixture(autouse=True)
def _files() -> None:
    for name, data in {
        "cat.png": PNG,
        "cat": PNG,
        "notes.txt": b"\xef\xbb\xbfna\xc3\xafve\r\n\n",
        "empty": b"",
        "fenced.md": b"```\n````x````\n```",
        "latin1": b"\xe4",
        "nul": b"a\0b",
        "movie": b"\xff\xfb",
        "huge.png": PNG + bytes(20 * 2**20),
    }.items():
        pathlib.Path(name).write_bytes(data)


def question(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


@pytest.mark.parametrize(
    ("names", "content"),
    [
        (["cat.png"], [IMAGE, question("Q")]),
        (["cat"], [IMAGE, question("Q")]),
        (["https://h.example/cat.png"], [LINK, question("Q")]),
        (
            ["data:image/png;base64,AA=="],
            [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
                question("Q"),
            ],
        ),
        (["notes.txt"], f"{NOTES['text']}\n\nQ"),
        (["notes.txt", "cat.png", "notes.txt"], [NOTES, IMAGE, NOTES, question("Q")]),
        (["fenced.md"], "fenced.md:\n`````\n```\n````x````\n```\n`````\n\nQ"),
        (["empty"], "empty:\n```\n\n```\n\nQ"),
    ],
)
def test_what_is_attached_goes_before_the_question(
    run: Run, names: list[str], content: Any
) -> None:
    with serving(streamed()) as server:
        argv = [word for name in names for word in ("-a", name)]
        result = run("--base-url", server.url, "-s", "Be brief", *argv, "Q")
    assert (result.code, result.out, result.err) == (0, b"Hello\n", "")
    assert server.requests[0].json["messages"] == [
        {"role": "system", "content": "Be brief"},
        {"role": "user", "content": content},
    ]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing", "missing: No such file or directory"),
        (".", ".: Is a directory"),
        ("latin1", "latin1: neither a picture (PNG, JPEG, GIF, WebP) nor text in UTF-8"),
        ("nul", "nul: neither"),
        ("movie", "movie: neither"),
        ("huge.png", "huge.png: over 20971520 bytes"),
        ("-", "--attach takes files and URLs"),
    ],
)
def test_what_cannot_be_attached_is_2_and_sends_nothing(run: Run, name: str, said: str) -> None:
    with serving(streamed()) as server:
        result = run("--base-url", server.url, "--attach", name, "Q")
    assert (result.code, result.out, server.requests) == (2, b"", [])
    assert said in line(result)


def test_a_pipe_is_read_once() -> None:
    reader, writer = os.pipe()
    os.write(writer, PNG)
    os.close(writer)
    assert with_attachments([f"/dev/fd/{reader}"], "Q") == [IMAGE, question("Q")]
    os.close(reader)


def test_only_a_chat_has_attachments(run: Run) -> None:
    for other in (["--complete"], ["--moderate"], ["--image", "x.png"]):
        result = run(*other, "-a", "cat.png", "Q")
        assert result.code == 2
        assert "--attach cannot be combined" in line(result)
