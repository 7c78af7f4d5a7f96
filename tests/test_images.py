"""Pictures: as parts of messages, and saved from replies; and what a moderation says."""

import base64
import json
import pathlib
import pickle
from typing import Any

import pytest

import rawchat
from rawchat.images import MAX_PICTURE_BYTES

from .command import Run, line
from .server import Server, answer, head, serving
from .test_tls_proxy import CA, listening

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


# ---- the network of a picture


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("given", ["proxy", "environ"])
def test_a_picture_is_fetched_through_the_proxy_of_the_client(
    given: str, pickled: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> None:
    with serving(drawn({"url": "https://pictures.test/cat"}), answer(b"", 403)) as proxy:
        settings: dict[str, Any] = {"proxy": proxy.origin, "environ": {}}
        if given == "environ":
            settings = {"environ": {"ALL_PROXY": proxy.origin}}
        reply = rawchat.Client(
            "sk-1234567890", "http://model.test/v1", allow_http=True, max_retries=0, **settings
        ).image("a cat")
        if pickled:
            # the environment is that of the process in which it is loaded
            for name, value in settings["environ"].items():
                monkeypatch.setenv(name, value)
            reply = pickle.loads(pickle.dumps(reply))
        with pytest.raises(rawchat.APIConnectionError, match=r"proxy 127\.0\.0\.1"):
            reply.save(tmp_path / "cat.png")
    request = proxy.requests[1]
    assert (request.method, request.target) == ("CONNECT", "pictures.test:443")
    assert "sk-1234567890" not in str(request.headers)


def test_a_picture_is_fetched_with_the_timeout_and_what_is_left_of_the_deadline(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    sent: list[rawchat.Request] = []

    def fetch(request: rawchat.Request) -> rawchat.Response:
        sent.append(request)
        clock[0] += 4
        return rawchat.Response(200, {}, [PNG])

    def draw(request: rawchat.Request) -> rawchat.Response:
        clock[0] += 2
        data = [{"url": "https://pictures.test/cat"}] * 3
        return rawchat.Response(200, {}, [json.dumps({"data": data}).encode()])

    monkeypatch.setattr("rawchat.images.time.monotonic", lambda: clock[0])
    for deadline, left in ((None, [None] * 3), (12, [10, 6, 2]), (9, [7, 3])):
        sent.clear()
        reply = rawchat.Client(
            base_url="http://127.0.0.1:9/v1",
            environ={},
            timeout=(1, 3),
            deadline=deadline,
            transport=draw,
            clock=lambda: clock[0],
        ).image("a cat")
        if len(left) == 3:
            reply.save(tmp_path / "cat.png", fetch)
        else:
            with pytest.raises(rawchat.DeadlineExceededError, match=r"GET https://pictures\.test"):
                reply.save(tmp_path / "dog.png", fetch)
        assert [request.deadline for request in sent] == left
        assert {request.timeout for request in sent} == {(1, 3)}
    assert not (tmp_path / "dog.png").exists()


def test_the_command_fetches_a_picture_through_its_proxy_and_shows_it(run: Run) -> None:
    for argv in (["--proxy", "{}"], ["--proxy", "{}", "--trace", "--har", "all.har"]):
        with serving(drawn({"url": "https://pictures.test/cat"}), answer(b"", 403)) as proxy:
            argv = [word.format(proxy.origin) for word in argv]
            result = run("--base-url", "http://model.test/v1", *argv, "--image", "cat.png", "a cat")
        assert (result.code, proxy.requests[1].method) == (7, "CONNECT")
        assert result.err.splitlines()[-1].startswith("rawchat: proxy 127.0.0.1")
    assert "> GET https://pictures.test/cat" in result.err
    entries = json.loads(pathlib.Path("all.har").read_text("utf-8"))["log"]["entries"]
    assert [entry["request"]["method"] for entry in entries] == ["POST", "GET"]


def test_the_command_fetches_a_picture_with_its_certificates(run: Run) -> None:
    picture = head(200, {"Content-Type": "image/png", "Content-Length": str(len(PNG))}) + PNG
    with listening(picture) as other:
        url = f"https://127.0.0.1:{other.port}/cat.png"
        for argv, code in (([], 7), (["--cacert", CA], 0)):
            with serving(drawn({"url": url})) as server:
                result = run("--base-url", server.url, *argv, "--image", "cat.png", "a cat")
            assert result.code == code, result.err
    assert pathlib.Path("cat.png").read_bytes() == PNG
    assert other.heads[-1].startswith(b"GET /cat.png HTTP/1.1\r\n")
    assert b"uthorization" not in other.heads[-1]


def test_a_replayed_picture_is_not_fetched_again(run: Run) -> None:
    picture = head(200, {"Content-Type": "image/png", "Content-Length": str(len(PNG))}) + PNG
    with (
        listening(picture) as other,
        serving(drawn({"url": f"https://127.0.0.1:{other.port}/cat.png"})) as server,
    ):
        argv = ["--base-url", server.url, "--cacert", CA, "--image", "cat.png", "a cat"]
        assert run(*argv, "--har", "all.har").code == 0
    pathlib.Path("cat.png").unlink()
    result = run(*argv, "--replay", "all.har")
    assert result.code == 0, result.err
    assert pathlib.Path("cat.png").read_bytes() == PNG
