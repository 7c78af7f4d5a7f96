"""--trace and --har: what goes out and what comes in, on standard error and in a file."""

import json
import logging
import os
import pathlib
import stat
import threading
from typing import Any

import pytest

from rawchat.schema.validate import first_error, resolve_ref

from ..command import Run, line, started
from ..server import CLOSE, answer, completion, delta, event, serving, streamed

row = pytest.mark.row
KEY = "sk-secret-0123456789"
BUSY = answer({"error": {"message": f"busy, {KEY}"}}, 503, {"retry-after-ms": "30"})
SCHEMA = json.loads(
    (pathlib.Path(__file__).parents[1] / "har-1.2.json").read_text(encoding="utf-8")
)


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


# ---- --trace


def test_a_trace_shows_both_attempts_and_the_wait_and_leaves_the_answer_alone(run: Run) -> None:
    with serving(BUSY, streamed()) as server:
        result = run("--base-url", server.url, "--trace", "Q")
    assert (result.code, result.out) == (0, b"Hello\n")
    lines = result.err.splitlines()
    assert lines.count(f"> POST {server.url}/chat/completions") == 2
    assert "> Authorization: ***" in lines
    assert any(each.startswith("< ") and each.endswith("  503") for each in lines)
    wait = lines.index(
        f"* retry 1 of 2 in 0.03 s: 503: busy, *** (POST {server.url}/chat/completions)"
    )
    assert lines[wait + 1].startswith("* attempt 2, 0.0")
    assert lines[wait + 1].endswith(" s after 503")
    assert any("data: [DONE]" in each for each in lines)
    assert "first token after" in lines[-1]
    assert lines[-1].endswith("attempt 2; connection reused")
    assert all(each[:2] in ("> ", "< ", "* ") for each in lines)
    assert KEY not in result.err


def test_a_trace_comes_as_it_happens() -> None:
    def upto(end: bytes) -> None:
        seen = b""
        while end not in seen:
            piece = os.read(process.stderr.fileno(), 65536)  # type: ignore[union-attr]
            assert piece, seen
            seen += piece

    second, third = threading.Event(), threading.Event()
    slow = streamed(
        [event(delta("Hel")), second, event(delta("lo", "stop")), third, event("[DONE]")]
    )
    with serving(slow) as server, started("--base-url", server.url, "--trace", "Q") as process:
        upto(b'"Hel"')  # would hang: the server waits as well
        second.set()
        upto(b'"lo"')
        third.set()
        assert process.wait(20) == 0


def test_a_trace_of_a_failed_call_ends_with_the_error_line(run: Run) -> None:
    with serving([CLOSE]) as server:
        result = run("--base-url", server.url, "--trace", "--retries", "0", "Q")
    assert result.code == 7
    assert result.err.splitlines()[-1].startswith(f"rawchat: 127.0.0.1:{server.port}: ")


def test_the_local_server_can_be_watched_too(run: Run, local_url: str) -> None:
    result = run("--local", "--trace", "--har", "calls.har", "-v", "--max-tokens", "4", "Q")
    assert result.code == 0
    assert result.err.startswith("> POST http://127.0.0.1:")
    assert "* headers after" in result.err
    assert len(archive()["log"]["entries"]) == 1


def test_after_a_trace_the_log_is_as_before_and_a_retry_is_made_in_silence(run: Run) -> None:
    log = logging.getLogger("rawchat")
    before = log.level, list(log.handlers)
    with serving(streamed(), BUSY, streamed()) as server:
        assert run("--base-url", server.url, "--trace", "Q").code == 0
        assert (log.level, log.handlers) == before
        assert run("--base-url", server.url, "Q").err == ""


# ---- --har


def archive(path: str = "calls.har") -> Any:
    return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))


def strangers(value: Any, schema: Any) -> list[str]:
    """The names in an archive that the specification does not have, and that are not marked as our own by a _."""
    schema = resolve_ref(schema["$ref"], SCHEMA) if "$ref" in schema else schema
    if isinstance(value, list):
        return [name for item in value for name in strangers(item, schema.get("items", {}))]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    return [name for name in value if name not in known and name[0] != "_"] + [
        found for name in value if name in known for found in strangers(value[name], known[name])
    ]


def test_the_archive_is_one_by_the_schema_and_shows_two_attempts_and_one_wait(run: Run) -> None:
    with serving(BUSY, streamed()) as server:
        assert run("--base-url", server.url, "--har", "calls.har", "é") == (0, b"Hello\n", "")
    found = archive()
    assert first_error(found, SCHEMA) is None
    assert strangers(found, SCHEMA) == []
    first, second = found["log"]["entries"]
    assert [entry["response"]["status"] for entry in (first, second)] == [503, 200]
    assert "comment" not in first
    assert second["comment"].startswith("the same again, 0.0")
    assert second["comment"].endswith(" s after 503")
    assert first["request"]["postData"] == second["request"]["postData"]
    assert json.loads(first["request"]["postData"]["text"])["messages"][0]["content"] == "é"
    assert second["response"]["content"]["text"].count("data: ") == 5
    assert second["_pieces"]
    for entry in (first, second):
        timings = entry["timings"]
        assert timings["send"] + timings["wait"] + timings["receive"] == pytest.approx(
            entry["time"]
        )
    assert KEY not in json.dumps(found)


def test_the_schema_would_notice() -> None:
    assert first_error({"log": {"version": "1.2", "creator": {"name": "x"}, "entries": []}}, SCHEMA)
    assert strangers({"log": {"entries": [{"odd": 1, "_own": 2}]}}, SCHEMA) == ["odd"]


@pytest.mark.parametrize(
    ("script", "code", "status"),
    [
        ([answer({"error": "no"}, 401)], 3, 401),
        ([[CLOSE]], 7, 0),
        ([streamed([event(delta("Hel"))])], 8, 200),
    ],
)
def test_the_archive_is_written_even_if_the_call_fails(
    run: Run, script: Any, code: int, status: int
) -> None:
    with serving(*script) as server:
        assert (
            run("--base-url", server.url, "--har", "calls.har", "--retries", "0", "Q").code == code
        )
    found = archive()
    assert first_error(found, SCHEMA) is None
    assert [entry["response"]["status"] for entry in found["log"]["entries"]] == [status]


@row("9.3")
def test_the_archive_is_for_its_owner_only_and_replaces_an_older_one(run: Run) -> None:
    with serving(answer(completion())) as server:
        for _ in range(2):
            assert (
                run("--base-url", server.url, "--no-stream", "--har", "calls.har", "x" * 5000).code
                == 0
            )
        mode = stat.S_IMODE(pathlib.Path("calls.har").stat().st_mode)
        assert run("--base-url", server.url, "--no-stream", "--har", "calls.har", "x").code == 0
    assert mode == 0o600
    assert len(archive()["log"]["entries"]) == 1


@row("9.3")
@pytest.mark.parametrize("option", ["--har", "--log"])
def test_no_link_is_followed_and_nothing_is_sent(run: Run, option: str) -> None:
    pathlib.Path("target").write_text("mine", encoding="utf-8")
    pathlib.Path("link").symlink_to("target")
    pathlib.Path("dangling").symlink_to("nowhere")
    with serving(streamed()) as server:
        for name in ("link", "dangling"):
            result = run("--base-url", server.url, option, name, "Q")
            assert (result.code, line(result)) == (
                2,
                f"{name}: a symbolic link, which is not followed",
            )
        for name, said in (("no/such", "No such file or directory"), (".", "Is a directory")):
            result = run("--base-url", server.url, option, name, "Q")
            assert (result.code, line(result)) == (2, f"{name}: {said}")
        assert server.requests == []
    assert pathlib.Path("target").read_text(encoding="utf-8") == "mine"
    assert not pathlib.Path("nowhere").exists()


# ---- --replay


@pytest.mark.parametrize("way", [[], ["--json"], ["--max-tokens", "9"]])
def test_an_archive_answers_again_without_a_server_or_a_key(
    run: Run, monkeypatch: pytest.MonkeyPatch, way: list[str]
) -> None:
    with serving(answer(completion()) if way == ["--json"] else streamed()) as server:
        recorded = run("--base-url", server.url, "--har", "calls.har", *way, "Q")
    monkeypatch.delenv("OPENAI_API_KEY")
    assert recorded.code == 0
    assert run("--replay", "calls.har", *way, "Q") == recorded
    result = run("--replay", "calls.har", *way, "another")
    assert (result.code, result.out) == (2, b"")
    assert line(result) == (
        'request 1 differs from the one in calls.har: messages[0].content is "another"; recorded: "Q"'
    )


def test_an_archive_that_cannot_be_replayed_is_2(run: Run) -> None:
    pathlib.Path("bad.har").write_text("{}", encoding="utf-8")
    for argv, message in (
        (["--replay", "missing.har"], "missing.har: No such file"),
        (["--replay", "bad.har"], "bad.har: not an HTTP archive"),
        (["--replay", "bad.har", "--local"], "cannot be combined: --replay sends nothing"),
    ):
        result = run(*argv, "Q")
        assert result.code == 2
        assert message in line(result)
