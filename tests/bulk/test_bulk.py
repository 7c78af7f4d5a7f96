"""Many prompts at once: every row is answered once, whatever happens in between."""

import contextlib
import io
import itertools
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat
from rawchat import bulk
from rawchat.bulk import resume
from rawchat.bulk import source as bulk_source
from rawchat.bulk.progress import Progress, print_warning
from rawchat.bulk.rows import Row
from rawchat.wire import Request, Response

from ..server import answer, completion, serving

row = pytest.mark.row
ROOT = pathlib.Path(rawchat.__file__).parent.parent
BATCH = {
    "custom_id": "a",
    "method": "POST",
    "url": "/v1/embeddings",
    "body": {"model": "m", "input": "x"},
}


def client(transport: Any) -> rawchat.Client:
    return rawchat.Client(base_url="http://localhost/v1", transport=transport, environ={})


def echo(request: Request) -> Response:
    """Answers with the text of the last message."""
    body = json.loads(request.body or b"{}")
    return Response(
        200,
        {"x-request-id": "req_1"},
        [json.dumps(completion(body["messages"][-1]["content"])).encode()],
    )


def text(result: dict[str, Any]) -> str:
    return str(rawchat.Reply(result["response"]["body"]).text)


def ids(path: pathlib.Path) -> Counter[str]:
    return Counter(
        json.loads(line)["custom_id"] for line in path.read_text(encoding="utf-8").splitlines()
    )


# ---- rows


@pytest.mark.parametrize(
    ("row", "target", "body"),
    [
        (
            "Say hi",
            "/v1/chat/completions",
            {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hi"}]},
        ),
        (
            '{"prompt": "Hi", "seed": 1}',
            "/v1/chat/completions",
            {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}], "seed": 1},
        ),
        ({"messages": [], "model": "x"}, "/v1/chat/completions", {"model": "x", "messages": []}),
        (BATCH, "/v1/embeddings", BATCH["body"]),
    ],
)
def test_a_row_is_a_text_or_an_object_or_one_of_the_batch_format(
    row: Any, target: str, body: Any
) -> None:
    request = Row(1, row).request(client(echo).config)
    assert request.url == "http://localhost" + target
    assert json.loads(request.body or b"") == body


@pytest.mark.parametrize(
    "row",
    [
        '{"prompt": ',
        "{}",
        {**BATCH, "method": "GET"},
        {**BATCH, "url": "https://elsewhere/v1/x"},
        {**BATCH, "body": "x"},
        {**BATCH, "url": "/v1/chat/completions", "body": {"stream": True}},
        {"prompt": "x", "stream": True},
    ],
)
def test_a_row_that_cannot_be_sent_is_an_error_in_its_own_line(row: Any) -> None:
    first, second = sorted(
        bulk.run_rows([row, "Hi"], client=client(echo)), key=lambda result: str(result["id"])
    )
    assert first["response"] is None
    assert first["error"]["code"] in ("ValueError", "TypeError")
    assert text(second) == "Hi"


def test_a_result_has_the_form_of_the_batch_format() -> None:
    (result,) = bulk.run_rows([{"custom_id": "q1", "prompt": "Hi"}], client=client(echo))
    assert result == {
        "id": "batch_req_1",
        "custom_id": "q1",
        "error": None,
        "response": {"status_code": 200, "request_id": "req_1", "body": completion("Hi")},
    }


def test_a_refusal_of_the_server_is_a_response_with_its_status() -> None:
    with serving(answer({"error": {"message": "no such model", "code": "nope"}}, 404)) as server:
        (result,) = bulk.run_rows(["Hi"], base_url=server.url, environ={})
    assert result["error"] is None
    assert result["response"]["status_code"] == 404
    assert result["response"]["body"] == {"error": {"message": "no such model", "code": "nope"}}


def test_no_answer_at_all_is_an_error_and_ends_no_other_row() -> None:
    def sometimes(request: Request) -> Response:
        if b"bug" in (request.body or b""):
            raise ZeroDivisionError("a bug in a transport")
        return echo(request)

    results = {
        result["custom_id"]: result
        for result in bulk.run_rows(["bug", "Hi", "bug"], 1, client(sometimes))
    }
    assert results["line-1"]["error"] == {
        "code": "ZeroDivisionError",
        "message": "a bug in a transport",
    }
    assert text(results["line-2"]) == "Hi"
    assert len(results) == 3


# ---- running


def test_rows_are_taken_only_as_workers_come_free() -> None:
    taken = 0

    def rows() -> Iterator[str]:
        nonlocal taken
        for taken in range(1, 5001):
            yield str(taken)

    ahead = [taken - count for count, _ in enumerate(bulk.run_rows(rows(), 8, client(echo)), 1)]
    assert len(ahead) == 5000
    assert max(ahead) == 8


PEAK = """
import sys, rawchat
from rawchat.bulk.resume import write_flushed
from rawchat.bulk.run import ask_rows
from rawchat.bulk.source import read_rows

def transport(request):
    return rawchat.Response(200, {}, [b'{"choices": [{"message": {"content": "' + b"x" * 500 + b'"}}]}'])

client = rawchat.Client(base_url="http://localhost/v1", transport=transport, environ={})
with open(sys.argv[1], "rb") as rows, open("out.jsonl", "wb") as out:
    for result in ask_rows(read_rows(rows), 16, client):
        write_flushed(out, repr(result).encode())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or not os.path.exists("/proc/self/status"),
    reason="only Linux tells the peak of a process; a PyPy that is warming up grows by itself",
)
def test_memory_does_not_grow_with_the_rows() -> None:
    def peak(rows: int) -> int:
        with files(rows) as (source, _):
            shown = subprocess.run(
                [sys.executable, "-c", PEAK, str(source)],
                check=True,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        return int(shown.stdout)

    assert peak(20_000) <= 1.1 * peak(2_000)


def test_workers_work_at_the_same_time() -> None:
    together = threading.Barrier(20)

    def slow(request: Request) -> Response:
        together.wait(10)  # raises if the others never come
        return echo(request)

    results = list(bulk.run_rows(map(str, range(40)), 20, client(slow)))
    assert sorted(map(text, results)) == sorted(map(str, range(40)))


def test_threads_end_with_the_rows_and_when_nobody_reads_on() -> None:
    before = set(threading.enumerate())
    results = bulk.run_rows(map(str, range(1000)), 4, client(echo))
    next(results)
    results.close()  # type: ignore[attr-defined]
    list(bulk.run_rows(map(str, range(10)), 4, client(echo)))
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()


def test_limits_stand_before_every_request() -> None:
    came = list[float]()
    steps = [lambda connection: came.append(time.monotonic()), answer(completion())]
    with serving(steps) as server:
        assert (
            len(
                list(
                    bulk.run_rows(["Hi"] * 6, 6, rpm=1200, tpm=1e9, base_url=server.url, environ={})
                )
            )
            == 6
        )
    assert (
        max(came) - min(came) > 0.2
    )  # 20 a second: the sixth a quarter of a second after the first


# ---- the command


def command(*words: str, **options: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "rawchat.bulk", *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,
    )


def run(*words: str) -> tuple[int, str]:
    """The command in this process: its exit code, and what it said."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = bulk.main(words)
    return code, said.getvalue()


@row("13.4")
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_standard_output_is_one_line(unbuffered: str) -> None:
    with (
        serving([answer(completion())]) as server,
        files(1) as (source, _),
        open("/dev/full", "wb") as full,
    ):
        done = subprocess.run(
            [sys.executable, "-m", "rawchat.bulk", str(source), "-", "--base-url", server.url],
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    said = done.stderr.decode()
    assert (done.returncode, said) == (2, "rawchat: standard output: No space left on device\n")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_without_end_is_refused(
    encoding: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bulk_source, "MAX_LINE_BYTES", 100)
    with serving([answer(completion())]) as server, files(0) as (source, target):
        for length, code in ((99, 0), (100, 2)):
            line = "x" * length + "\n"
            source.write_bytes(f"short\n{line}".encode(encoding))
            assert bulk.main([str(source), str(target), "--base-url", server.url]) == code
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == "rawchat: in.txt: line 2 is longer than 100 bytes: IN has one row in each line"


def test_a_refusal_is_one_line_that_does_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for shown in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", shown)
        print_warning("401: bad \x1b[2J\nkey")
        escape = "␛" if shown.isatty() else "\x1b"
        assert shown.getvalue() == f"rawchat: 401: bad {escape}[2J key\n"


@contextlib.contextmanager
def files(rows: int) -> Iterator[tuple[pathlib.Path, pathlib.Path]]:
    source, target = pathlib.Path("in.txt"), pathlib.Path("out.jsonl")
    source.write_text("".join(f"row {number}\n" for number in range(1, rows + 1)), encoding="utf-8")
    yield source, target


def test_the_same_command_again_does_nothing_again() -> None:
    with serving(answer(completion("ü"))) as server, files(5) as (source, target):
        code, said = run(str(source), str(target), "--base-url", server.url, "--price", "1e6", "0")
        assert (code, said.startswith("5 of 5 done, ")) == (0, True)
        assert target.stat().st_mode & 0o777 == 0o600
        before = target.read_bytes()
        assert run(str(source), str(target), "--base-url", server.url)[1].startswith("nothing left")
        assert target.read_bytes() == before
        assert run(str(source), str(target), "--base-url", server.url, "--no-resume")[1].startswith(
            "5 of 5 done"
        )
        assert len(server.requests) == 10
    assert ids(target) == {f"line-{number}": 1 for number in range(1, 6)}


def test_a_torn_last_line_is_mended_and_its_row_asked_again() -> None:
    long, short = answer(completion("ü" * 100)), answer(completion("ü"))
    with serving(long, long, long, short) as server, files(3) as (source, target):
        run(str(source), str(target), "--base-url", server.url)
        whole = target.read_bytes()
        last = whole[:-1].rfind(b"\n") + 1
        for at in (last, last + 1, len(whole) - 20, len(whole) - 2, len(whole) - 1):
            target.write_bytes(whole[:at])
            code, said = run(str(source), str(target), "--base-url", server.url)
            assert (code, said[:6]) == (0, "nothin" if at == len(whole) - 1 else "1 of 1"), at
            assert ids(target) == {"line-1": 1, "line-2": 1, "line-3": 1}


def test_equal_custom_ids_are_as_many_rows_and_a_strange_output_is_not_touched() -> None:
    rows = ['{"custom_id": "a", "prompt": "1"}\n'] * 3
    with serving(answer(completion())) as server, files(0) as (source, target):
        source.write_text("".join(rows[:2]), encoding="utf-8")
        assert run(str(source), str(target), "--base-url", server.url)[0] == 0
        source.write_text("".join(rows), encoding="utf-8")
        assert run(str(source), str(target), "--base-url", server.url)[1].startswith("1 of 1")
        assert ids(target) == {"a": 3}
        target.write_text("a letter\nto a friend", encoding="utf-8")
        assert run(str(source), str(target), "--base-url", server.url) == (
            2,
            "rawchat: out.jsonl: line 1 is not a result; choose another output\n",
        )
        assert target.read_text(encoding="utf-8") == "a letter\nto a friend"
        target.unlink()
        target.symlink_to(source)
        assert run(str(source), str(target), "--base-url", server.url)[0] == 2


def test_rows_that_failed_are_asked_again_on_demand() -> None:
    refused = answer({"error": {"message": "no"}}, 400)
    with serving(refused, answer(completion())) as server, files(3) as (source, target):
        words = (str(source), str(target), "--base-url", server.url, "--workers", "1")
        assert run(*words)[0] == 1
        assert run(*words)[1].startswith("nothing left to do\n")
        assert run(*words, "--retry-failed")[1].startswith("1 of 1")
    assert ids(target) == {"line-1": 1, "line-2": 1, "line-3": 1}
    assert not pathlib.Path("out.jsonl.part").exists()
    assert b'"status_code": 400' not in target.read_bytes()


@row("13.11")
def test_a_refused_key_ends_the_run_and_costs_no_row() -> None:
    refused = answer({"error": {"message": "bad key"}}, 401)
    with serving(refused) as server, files(500) as (source, target):
        code, said = run(str(source), str(target), "--base-url", server.url, "--workers", "2")
        assert (code, "rawchat: 401: bad key; " in said, target.read_bytes()) == (3, True, b"")
        assert len(server.requests) < 10


@row("13.8")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_what_is_under_way_and_says_how_to_go_on(
    sent: signal.Signals, code: int
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    slow = [lambda connection: begun.set(), go_on, answer(completion())]
    with serving(answer(completion()), slow) as server, files(50) as (source, target):
        with command(str(source), str(target), "--base-url", server.url, "--workers", "1") as child:
            assert begun.wait(10)
            patience = time.monotonic() + 10
            while (
                not target.stat().st_size
            ):  # what is finished is on disk while the next is under way
                assert time.monotonic() < patience
            child.send_signal(sent)
            assert child.stderr
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.3)  # long enough for a signal that would end it at once
            assert child.poll() is None
            go_on.set()
            said = child.stderr.read().decode()
        assert (child.returncode, said.splitlines()[-1]) == (
            code,
            "rawchat: stopped; run the same command to continue",
        )
        assert ids(target) == {"line-1": 1, "line-2": 1}
        assert run(str(source), str(target), "--base-url", server.url)[0] == 0
    assert len(ids(target)) == 50


def test_killed_ten_times_every_row_is_answered_once() -> None:
    with serving(answer(completion("x" * 20_000))) as server, files(500) as (source, target):
        words, grown = (str(source), str(target), "--base-url", server.url), 0
        for round in range(10):
            with command(*words) as child:
                while child.poll() is None and (
                    not target.exists() or target.stat().st_size <= grown
                ):
                    time.sleep(0.001)  # leaves the processor to the command
                for _ in range(round * 300):  # further in every time
                    target.stat()
                child.kill()
            size = target.stat().st_size
            assert size > grown or child.returncode == 0
            grown = max(grown, size)
        assert run(*words)[0] == 0
    assert ids(target) == {f"line-{number}": 1 for number in range(1, 501)}


def test_standard_input_and_output() -> None:
    with serving(answer(completion("Hello"))) as server:
        with command("-", "-", "--base-url", server.url, stdin=subprocess.PIPE) as child:
            shown, _ = child.communicate(b"\xef\xbb\xbfHi\r\n\r\nHo\n", timeout=60)
        assert child.returncode == 0
        assert {json.loads(line)["custom_id"] for line in shown.splitlines()} == {
            "line-1",
            "line-3",
        }
        assert {seen.json["messages"][0]["content"] for seen in server.requests} == {"Hi", "Ho"}


def test_progress_counts_tokens_cost_and_failures() -> None:
    progress = Progress(10, (2.0, 4.0), clock=iter([0.0, 5.0]).__next__)
    usage = {"prompt_tokens": 500_000, "completion_tokens": 250_000}
    progress.count({"response": {"status_code": 200, "body": {"usage": usage}}, "error": None})
    progress.count({"response": None, "error": {}})
    progress.count({"response": {"status_code": 500, "body": {"error": {}}}, "error": None})
    assert (
        str(progress) == "3 of 10 done, 0.6 a second, 12 s left, 750000 tokens, $2.0000, 2 failed"
    )


class Terminal(io.StringIO):
    """A standard error that somebody looks at."""

    def isatty(self) -> bool:
        return True


def shown_progress(monkeypatch: pytest.MonkeyPatch, stderr: io.StringIO) -> str:
    """What 10 rows of which one fails, at $1 a token, show there."""
    monkeypatch.setattr(sys, "stderr", stderr)
    usage = {"prompt_tokens": 2, "completion_tokens": 1}
    progress = Progress(10, (1e6, 1e6), clock=itertools.count().__next__)
    for number in range(10):
        done = {"status_code": 200, "body": {"usage": usage}}
        progress.count({"response": done if number else None, "error": None if number else {}})
        progress.show()
    progress.show(last=True)
    return stderr.getvalue()


def test_progress_on_a_terminal_is_written_over_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    shown = shown_progress(monkeypatch, Terminal())
    assert shown.startswith(
        "\r1 of 10 done, 0.3 a second, 27 s left, 0 tokens, $0.0000, 1 failed\x1b[K\r2 of 10 "
    )
    assert shown.endswith(", 27 tokens, $27.0000, 1 failed\x1b[K\n")
    assert shown.count("\n") == 1


def test_failures_are_described_by_the_first_one() -> None:
    progress = Progress(3, (0.0, 0.0))
    assert progress.describe_failures() == ""
    lost = {"code": "APIConnectionError", "message": "h:9:\nConnection refused"}
    progress.count({"custom_id": "a", "response": None, "error": lost})
    assert progress.describe_failures() == "1 row failed, a: h:9: Connection refused"
    progress.count({"custom_id": "b", "response": None, "error": {"message": "other"}})
    assert progress.describe_failures() == ("2 rows failed; the first, a: h:9: Connection refused")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": {"message": "no"}}, "400: no"),
        ({"error": {"detail": "ü"}}, '400: {"detail": "ü"}'),
    ],
)
def test_a_refused_row_is_described_by_its_status(body: Any, reason: str) -> None:
    progress = Progress(1, (0.0, 0.0))
    response = {"status_code": 400, "body": body}
    progress.count({"custom_id": "x" * 500, "response": response, "error": None})
    said = progress.describe_failures()
    assert said.endswith(f"x…: {reason}")
    assert len(said) < 150


def test_progress_on_a_terminal_begins_before_the_first_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress(3, (0.0, 0.0), clock=lambda: 0.0)
    progress.show()
    assert sys.stderr.getvalue() == ""
    progress.show(first=True)
    assert sys.stderr.getvalue() == "\r0 of 3 done, 0.0 a second, 0 tokens, 0 failed\x1b[K"


def test_progress_on_a_terminal_is_by_tqdm_if_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tqdm = pytest.importorskip("tqdm")
    shown = shown_progress(monkeypatch, Terminal())
    tqdm.tqdm.monitor.exit()  # its thread
    last = shown.rstrip().rpartition("\r")[2]
    assert all(
        word in last for word in ("100%", "10/10", " rows/s", "27 tokens, $27.0000, 1 failed")
    )
    assert "a second" not in shown
    assert shown.endswith("\n")


def test_progress_elsewhere_is_one_line_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = shown_progress(monkeypatch, io.StringIO())
    assert (shown.startswith("10 of 10 done, "), shown.count("\n"), "\r" in shown) == (
        True,
        1,
        False,
    )
    monkeypatch.setattr(sys, "stderr", None)  # as of a program without a console
    Progress(1, (0.0, 0.0)).show(last=True)
    assert capsys.readouterr().out == ""  # where the results may go


def test_lines_of_no_result_are_named() -> None:
    for bad in (b"[]\n", b"x\n", b'{"a": 1}\n'):
        with pytest.raises(resume.OutputError, match="f: line 1 is not a result"):
            resume.done_entry(bad, "f: line 1")
