"""Pictures: as parts of messages, and saved from replies; and what a moderation says."""

import base64
import pathlib
from typing import Any

import pytest

import rawchat
from rawchat.images import MAX_PICTURE_BYTES

from .command import Run, line
from .server import Server, answer, head, serving

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def client(server: Server) -> rawchat.Client:
    return rawchat.Client(base_url=server.url, environ={}, max_retries=0)


def drawn(*pictures: dict[str, Any]) -> bytes:
    return answer({"created": 1, "data": list(pictures)})


IN_BASE64 = {"b64_json": base64.b64encode(PNG).decode()}


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
    ],
)
def test_a_file_becomes_a_data_url_of_the_type_that_its_bytes_say(
    tmp_path: pathlib.Path, start: bytes, kind: str
) -> None:
    path = tmp_path / "picture.txt"
    path.write_bytes(start)
    assert rawchat.image_part(path) == {
        "type": "image_url",
        "image_url": {"url": f"data:{kind};base64,{base64.b64encode(start).decode()}"},
    }


@pytest.mark.parametrize("url", ["https://h/cat.png", "http://h/cat", "data:image/png;base64,AA=="])
def test_a_url_is_passed_on(url: str) -> None:
    assert rawchat.image_part(url, detail="low") == {
        "type": "image_url",
        "image_url": {"url": url, "detail": "low"},
    }


def test_what_is_no_picture_or_too_large_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(b"<svg></svg>")
    with pytest.raises(ValueError, match=r"cat\.png: not a PNG"):
        rawchat.image_part(path)
    with path.open("wb") as file:
        file.write(PNG)
        file.truncate(MAX_PICTURE_BYTES + 1)
    with pytest.raises(ValueError, match="over 20971520 bytes"):
        rawchat.image_part(str(path))
    with pytest.raises(FileNotFoundError):
        rawchat.image_part(tmp_path / "nothing.png")


def test_a_picture_is_saved(tmp_path: pathlib.Path) -> None:
    with serving(drawn(IN_BASE64)) as server:
        reply = client(server).image("a cat", size="256x256")
    assert isinstance(reply, rawchat.Reply)
    assert reply.status == 200
    assert reply.save(tmp_path / "cat.png") == [str(tmp_path / "cat.png")]
    assert (tmp_path / "cat.png").read_bytes() == PNG
    assert server.requests[0].json == {"prompt": "a cat", "size": "256x256"}


def test_several_pictures_stand_beside_each_other(tmp_path: pathlib.Path) -> None:
    with serving(drawn(IN_BASE64, IN_BASE64, IN_BASE64)) as server:
        paths = client(server).image("a cat", n=3).save(tmp_path / "cat.png")
    assert [pathlib.Path(path).name for path in paths] == ["cat.png", "cat-2.png", "cat-3.png"]
    assert all(pathlib.Path(path).read_bytes() == PNG for path in paths)


def test_a_picture_at_a_url_is_fetched_without_the_key(tmp_path: pathlib.Path) -> None:
    picture = head(200, {"Content-Type": "image/png", "Content-Length": str(len(PNG))}) + PNG
    with serving(picture) as other:
        with serving(drawn({"url": other.origin + "/cat?sig=1"})) as server:
            reply = rawchat.Client(api_key="sk-1234567890", base_url=server.url, environ={}).image(
                "a cat"
            )
        reply.save(tmp_path / "cat.png", transport=rawchat.transport.over_http(other.url))
        assert other.requests[0].target == "/cat?sig=1"
        assert "authorization" not in other.requests[0].headers
    assert (tmp_path / "cat.png").read_bytes() == PNG


@pytest.mark.parametrize(
    ("picture", "told"),
    [
        ({"b64_json": base64.b64encode(b"<html>").decode()}, "not a picture"),
        ({"b64_json": "A"}, "neither base64"),
        ({}, "neither base64"),
        ({"url": None}, "neither"),
        ({"url": "http://169.254.169.254/x"}, "not https://"),
        ({"url": "file:///etc/passwd"}, "not https://"),
    ],
)
def test_what_is_no_picture_is_not_written(
    tmp_path: pathlib.Path, picture: dict[str, Any], told: str
) -> None:
    with (
        serving(drawn(IN_BASE64, picture)) as server,
        pytest.raises(rawchat.RawchatError, match=told),
    ):
        client(server).image("a cat").save(tmp_path / "cat.png")
    assert list(tmp_path.iterdir()) == []


def test_a_url_that_fails_or_a_reply_without_pictures_is_an_error(tmp_path: pathlib.Path) -> None:
    odd = answer({"data": 5})
    with (
        serving(answer(b"gone", 404)) as other,
        serving(drawn({"url": other.origin}), drawn(), odd) as server,
    ):
        with pytest.raises(rawchat.APIError, match="404 for the picture"):
            client(server).image("a cat").save(
                tmp_path / "a.png", rawchat.transport.over_http(other.url)
            )
        for _ in range(2):
            with pytest.raises(rawchat.APIError, match="no picture"):
                client(server).image("a cat").save(tmp_path / "a.png")


def test_a_moderation_says_whether_and_why() -> None:
    results = [
        {"flagged": False, "categories": {"hate": False}},
        {"flagged": True, "categories": {"violence": True, "self-harm": True, "hate": False}},
    ]
    with serving(
        answer({"results": results}), answer({"results": results[:1]}), answer({})
    ) as server:
        both, fine, nothing = (client(server).moderate(["a", "b"]) for _ in range(3))
    assert (both.flagged, both.categories) == (True, ["self-harm", "violence"])
    assert (fine.flagged, fine.categories) == (nothing.flagged, nothing.categories) == (False, [])


def test_a_link_is_not_written_through(tmp_path: pathlib.Path) -> None:
    (tmp_path / "mine").write_text("mine", encoding="utf-8")
    (tmp_path / "cat.png").symlink_to("mine")
    (tmp_path / "dog-2.png").symlink_to("nowhere")
    with serving(drawn(IN_BASE64, IN_BASE64)) as server:
        reply = client(server).image("a cat", n=2)
    for name, link in (("cat.png", "cat.png"), ("dog.png", "dog-2.png")):
        with pytest.raises(
            rawchat.RawchatError, match=f"{link}: a symbolic link, which is not followed"
        ):
            reply.save(tmp_path / name)
    assert (tmp_path / "mine").read_text(encoding="utf-8") == "mine"
    assert not (tmp_path / "nowhere").exists()


def test_the_command_refuses_a_link_before_it_pays(run: Run, tmp_path: pathlib.Path) -> None:
    (tmp_path / "cat.png").symlink_to("mine")
    with serving(drawn(IN_BASE64)) as server:
        result = run("--base-url", server.url, "--image", "cat.png", "a cat")
    assert (result.code, line(result)) == (2, "cat.png: a symbolic link, which is not followed")
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    ["http://me:hunter2@h/x?sig=hunter2", "ftp://me:hunter2@h", "https://me:hunter2@127.0.0.1:9/x"],
)
def test_no_password_of_a_url_is_printed(run: Run, url: str) -> None:
    with serving(drawn({"url": url})) as server:
        result = run("--base-url", server.url, "--image", "cat.png", "a cat")
    assert result.code in (1, 7)
    assert "hunter2" not in line(result)


def test_a_picture_that_cannot_be_fetched_is_told_without_the_password(
    tmp_path: pathlib.Path,
) -> None:
    request = rawchat.Request("GET", "https://me:hunter2@h/x?sig=hunter2")
    with serving(drawn({"url": request.url})) as server:
        reply = client(server).image("a cat")
    with pytest.raises(rawchat.APIError, match="404 for the picture") as caught:
        reply.save(tmp_path / "cat.png", lambda request: rawchat.Response(404, {}, [b""]))
    assert "hunter2" not in str(caught.value) + request.summary


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_names_the_picture(run: Run) -> None:
    with serving(drawn(IN_BASE64)) as server:
        result = run("--base-url", server.url, "--image", "/dev/full", "a cat")
        assert (result.code, line(result)) == (1, "/dev/full: No space left on device")
