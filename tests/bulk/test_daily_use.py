"""A paid batch can be trusted: one writer, no row lost or sent twice, nothing sent that is not text."""

import codecs
import gzip
import json
import os
import pathlib
import threading
from typing import Any

import pytest

import rawchat
from rawchat import bulk
from rawchat.bulk import resume
from rawchat.bulk.__main__ import words_from_environ
from rawchat.bulk.rows import Row
from rawchat.bulk.run import MAX_PAUSES, Run, ask_rows
from rawchat.errors import RateLimitError
from rawchat.wire import Request, Response

from ..server import answer, completion, serving

row = pytest.mark.row

QUOTA = {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}
BUSY = {"error": {"message": "slow down", "code": "rate_limit_exceeded"}}
OK = answer(completion())


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")


def write(data: Any, name: str = "in.txt") -> pathlib.Path:
    path = pathlib.Path(name)
    if isinstance(data, str):
        data = data.encode()
    path.write_bytes(data)
    return path


def run(server: Any, *words: str, source: str = "in.txt") -> int:
    return bulk.main([source, "out.jsonl", "--base-url", server.url, *words])


def prompts(server: Any) -> list[str]:
    return sorted(seen.json["messages"][-1]["content"] for seen in server.requests)


def results() -> list[dict[str, Any]]:
    lines = pathlib.Path("out.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


# ---- one writer


@row("13.7")
def test_a_second_run_on_the_same_output_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    write("a\nb\n")
    with serving(OK) as server:
        with resume.open_output("out.jsonl"):
            assert run(server) == 2
            assert run(server, "--no-resume") == 2
        error = capsys.readouterr().err
        assert server.requests == []
        assert error.splitlines()[0] == (
            "rawchat: out.jsonl: another process writes its results there; "
            "wait for it, or choose another file"
        )
        assert run(server) == 0  # the lock ends with the file


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no devices and named pipes here")
@pytest.mark.parametrize("retry", [(), ("--no-resume",), ("--retry-failed",)])
@pytest.mark.parametrize("output", ["/dev/null", "pipe"])
def test_an_output_that_is_no_regular_file_is_refused_and_not_read(
    retry: tuple[str, ...], output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a\nb\n")
    os.mkfifo("pipe")
    with serving(OK) as server:
        words = ["in.txt", output, "--base-url", server.url, *retry]
        assert bulk.main(words) == 2
        assert server.requests == []
    said = f"rawchat: {output}: not a regular file; use - for standard output\n"
    assert capsys.readouterr().err == said


@row("13.7")
def test_a_refused_run_leaves_the_output_as_it_is() -> None:
    write("a\nb\n")
    with serving(OK) as server:
        assert run(server) == 0
        before = pathlib.Path("out.jsonl").read_bytes()
        with resume.open_output("out.jsonl"):
            assert run(server, "--no-resume") == run(server, "--retry-failed") == 2
        assert pathlib.Path("out.jsonl").read_bytes() == before


def test_an_output_that_was_replaced_before_it_was_locked_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(b"", "out.jsonl")
    real = resume.lock
    calls = []

    def lock_late(file: Any, path: str) -> None:
        calls.append(path)
        if len(calls) == 1:
            write(b"new", "other")
            os.replace("other", "out.jsonl")
        real(file, path)

    monkeypatch.setattr(resume, "lock", lock_late)
    with resume.open_output("out.jsonl") as file:
        assert (file.read(), len(calls)) == (b"new", 2)


def test_the_input_is_never_taken_for_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    rows = '{"custom_id": "a", "prompt": "Hi"}\n'
    with serving(OK) as server:
        path = write(rows, "out.jsonl")
        assert run(server, source="out.jsonl") == 2
        assert "IN and OUT are the same file" in capsys.readouterr().err
        write("Hi\n")
        assert run(server) == 2  # the rows of another input are no results either
        assert (path.read_text(encoding="utf-8"), server.requests) == (rows, [])


# ---- rows


@row("13.9")
def test_a_row_without_an_id_is_recognised_by_its_content() -> None:
    with serving(OK) as server:
        write('a\nb\n{"prompt": "c", "seed": 1}\na\n')
        assert run(server) == 0
        server.requests.clear()
        write('new\na\n{"seed": 1, "prompt": "c"}\nb\na\na\n')
        assert run(server) == 0
        assert prompts(server) == ["a", "new"]
        assert len(results()) == 6


def test_results_of_an_earlier_version_are_recognised_by_the_line() -> None:
    write("a\nb\n")
    old = {"id": "batch_req_1", "custom_id": "line-1", "response": {"status_code": 200}}
    write(json.dumps(old) + "\n", "out.jsonl")
    with serving(OK) as server:
        assert run(server) == 0
        assert prompts(server) == ["b"]


@pytest.mark.parametrize(
    ("row", "target", "content"),
    [
        ({"body": {"messages": [{"role": "user", "content": "x"}]}}, "chat/completions", "x"),
        (
            {"url": "/v1/chat/completions", "body": {"messages": [{"content": "y"}]}},
            "chat/completions",
            "y",
        ),
        ('"Say \\"hi\\"\\nplease"', "chat/completions", 'Say "hi"\nplease'),
        ('"Hi," she said, "bye."', "chat/completions", '"Hi," she said, "bye."'),
        ('{"custom_id": null, "prompt": "z"}', "chat/completions", "z"),
    ],
)
def test_rows_that_people_write(row: Any, target: str, content: str) -> None:
    config = rawchat.Client(base_url="http://localhost/v1", environ={}).config
    parsed = Row(3, row)
    request = parsed.request(config)
    assert request.url == f"http://localhost/v1/{target}"
    assert json.loads(request.body or b"")["messages"][-1]["content"] == content
    assert parsed.custom_id == "line-3"


# ---- encodings

TEXT = "eins\r\nzw\u00f6lf \u2028 \u00e4\n\ndrei"


@row("13.10")
@pytest.mark.parametrize(
    "data",
    [
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-32"),
        gzip.compress(TEXT.encode()),
        gzip.compress(TEXT.encode("utf-16")),
    ],
    ids=["utf-8 with a mark", "utf-16-le", "utf-16-be", "utf-32", "gzip", "gzip of utf-16"],
)
def test_the_encoding_of_the_input_is_recognised(data: bytes) -> None:
    write(data)
    with serving(OK) as server:
        assert run(server) == 0
        assert prompts(server) == ["drei", "eins", "zw\u00f6lf \u2028 \u00e4"]
        assert run(server) == 0
        assert len(server.requests) == 3


@row("13.10")
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (TEXT.encode("utf-16-le"), "line 1 is not text in UTF-8"),
        (b"good\nb\xf6se\n", "line 2 is not text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1 is not text in UTF-8"),
        (gzip.compress(TEXT.encode())[:-9], "the gzip file is damaged"),
        (b"\x1f\x8bjunk", "the gzip file is damaged"),
        (TEXT.encode("utf-16")[:-1], "the file begins as utf-16, but is not"),
    ],
    ids=["utf-16 without a mark", "latin-1", "png", "gzip cut", "gzip junk", "utf-16 cut"],
)
def test_input_that_is_not_text_is_refused_before_a_row_is_sent(
    data: bytes, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(data)
    with serving(OK) as server:
        assert run(server) == 2
        assert server.requests == []
    error = capsys.readouterr().err
    assert error.startswith(f"rawchat: in.txt: {reason}")
    assert error.count("\n") == 1


# ---- quota and rate limits


@row("13.11")
def test_a_quota_that_is_used_up_ends_the_run_and_costs_no_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("".join(f"row {number}\n" for number in range(200)))
    with serving(OK, answer(QUOTA, 429)) as server:
        assert run(server, "--workers", "2") == 6
        assert len(server.requests) < 10
        assert len(results()) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        "rawchat: 429: You exceeded your current quota; "
        "run the same command once the limit allows it to continue"
    )


class Shared(Run):
    """A run with a clock that moves only while somebody waits."""

    def __init__(self, **settings: Any):
        self.seconds = 1000.0
        self.waits: list[float] = []
        super().__init__(clock=lambda: self.seconds, wait=self.sleep, now=lambda: 0.0, **settings)

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.seconds += seconds


def scripted(*answers: tuple[int, dict[str, str], Any]) -> tuple[rawchat.Client, list[int]]:
    """A client without retries of its own; the last answer is repeated."""
    asked: list[int] = []

    def transport(request: Request) -> Response:
        status, headers, payload = answers[min(len(asked), len(answers) - 1)]
        asked.append(status)
        return Response(status, headers, [json.dumps(payload).encode()])

    made = rawchat.Client(
        base_url="http://localhost/v1", transport=transport, environ={}, max_retries=0
    )
    return made, asked


@row("13.12")
def test_a_429_costs_time_and_not_the_row() -> None:
    busy = (429, {}, BUSY)
    client, asked = scripted(busy, busy, busy, (200, {}, completion("done")))
    shared = Shared(halts=True)
    lines = list(ask_rows(iter([Row(1, "a"), Row(2, "b")]), 1, client, shared))
    assert [line["response"]["status_code"] for line in lines] == [200, 200]
    assert shared.waits == [1, 2, 4]
    assert asked == [429, 429, 429, 200, 200]


def test_the_server_says_how_long_a_pause_is() -> None:
    client, _ = scripted(
        (429, {"retry-after": "700"}, BUSY),
        (429, {"retry-after": "inf"}, BUSY),
        (200, {}, completion()),
    )
    shared = Shared()
    assert len(list(ask_rows(iter([Row(1, "a")]), 1, client, shared))) == 1
    assert shared.waits == [700, 2]


@row("13.12")
def test_one_pause_counts_for_all_requests_that_were_under_way() -> None:
    pauses: list[float] = []
    shared = Shared(on_pause=pauses.append)
    before = shared.wait_for_pause()
    error = RateLimitError("429", status_code=429)
    assert [shared.pause(error, before) for _ in range(16)] == [True] * 16
    assert pauses == [1]
    assert shared.wait_for_pause() != before
    assert shared.waits == [1]


def test_pauses_soon_after_each_other_grow_even_if_some_rows_are_answered() -> None:
    shared = Shared()
    error = RateLimitError("429", status_code=429)
    for _ in range(8):
        assert shared.pause(error, shared.wait_for_pause())
        shared.record_reply()
    shared.wait_for_pause()
    assert shared.waits == [1, 2, 4, 8, 16, 32, 60, 60]
    shared.seconds += 61
    assert shared.pause(error, shared.wait_for_pause())
    shared.wait_for_pause()
    assert shared.waits[-1] == 1


@row("13.12")
def test_a_server_that_never_answers_ends_the_run_and_keeps_its_rows() -> None:
    for answered in ((429, {}, BUSY), (429, {"retry-after": "7200"}, BUSY)):
        client, asked = scripted(answered)
        shared = Shared(halts=True)
        assert list(ask_rows(iter([Row(1, "a"), Row(2, "b")]), 1, client, shared)) == []
        assert isinstance(shared.error, RateLimitError)
        assert len(asked) <= MAX_PAUSES + 1
        [line] = ask_rows(iter([Row(1, "a")]), 1, client, Shared())  # a library yields every row
        assert line["response"]["status_code"] == 429


def test_a_deadline_that_a_429_used_up_costs_no_row() -> None:
    calls: list[int] = []
    seconds = [0.0]

    def transport(request: Request) -> Response:
        calls.append(1)
        seconds[0] += 2
        if len(calls) == 1:
            return Response(429, {"retry-after": "9"}, [json.dumps(BUSY).encode()])
        return Response(200, {}, [json.dumps(completion()).encode()])

    client = rawchat.Client(
        base_url="http://localhost/v1",
        transport=transport,
        environ={},
        deadline=5,
        clock=lambda: seconds[0],
    )
    [line] = ask_rows(iter([Row(1, "a")]), 1, client, Shared())
    assert line["response"]["status_code"] == 200


def test_a_stopped_run_does_not_wait_for_a_pause() -> None:
    client, _ = scripted((429, {}, BUSY))
    shared = Shared()
    shared._wait = lambda seconds: shared.stop.set()
    assert list(ask_rows(iter([Row(1, "a"), Row(2, "b")]), 1, client, shared)) == []


# ---- a rerun


@row("13.13")
def test_a_rerun_reports_what_the_output_holds_and_counts_earlier_failures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write("a\nb\nc\n")
    with serving(answer({"error": {"message": "no"}}, 400), OK) as server:
        assert run(server, "--workers", "1") == 1
        assert capsys.readouterr().err.splitlines()[1:] == [
            "rawchat: 1 row failed, line-1: 400: no; --retry-failed asks again"
        ]
        assert run(server) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            "rawchat: out.jsonl already held 3 results; "
            "1 row failed before (--retry-failed asks again)"
        )
        assert len(server.requests) == 3
        assert run(server, "--retry-failed") == 0
        assert run(server) == 0


def test_a_failure_is_reported_beside_results_on_standard_output(
    capfd: pytest.CaptureFixture[str],
) -> None:
    write('{"prompt": \n')
    with serving(OK) as server:
        assert bulk.main(["in.txt", "-", "--base-url", server.url]) == 1
    last = capfd.readouterr().err.splitlines()[-1]
    assert last.startswith("rawchat: 1 row failed, line-1: line 1 is not JSON: ")
    assert "--retry-failed" not in last


# ---- options


def test_a_missing_key_is_explained_by_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    write("a\n")
    assert bulk.main(["in.txt", "out.jsonl"]) == 3
    assert capsys.readouterr().err == (
        "rawchat: no API key: set OPENAI_API_KEY (or --key-file FILE), or name a server that needs none "
        "with --base-url\n"
    )


def test_the_help_says_what_a_rerun_recognises(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bulk.main(["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    assert "-m and -o do not count" in shown
    assert "(the default), or empty OUT first (--no-resume)" in shown


@row("13.14")
def test_variables_stand_before_the_command_line() -> None:
    environ = {
        "RAWCHAT_WORKERS": "3",
        "RAWCHAT_BASE_URL": "http://localhost/v1",
        "RAWCHAT_TIMEOUT": "",
        "RAWCHAT_HEADER": "A: 1\nB: 2",
        "RAWCHAT_OPTION": "seed 7\nstop a b",
        "RAWCHAT_ALLOW_HTTP": "yes",
    }
    assert words_from_environ(environ) == [
        "--workers=3",
        "--base-url=http://localhost/v1",
        "--header=A: 1",
        "--header=B: 2",
        "--option",
        "seed",
        "7",
        "--option",
        "stop",
        "a b",
        "--allow-http",
    ]


def test_a_variable_that_sets_no_option_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a\n")
    monkeypatch.setenv("RAWCHAT_WORKERS", "2")
    monkeypatch.setenv("RAWCHAT_WORKER", "3")
    with serving(OK) as server:
        assert run(server) == 0
    assert (
        "rawchat: RAWCHAT_WORKER sets no option (did you mean RAWCHAT_WORKERS?)\n"
        in capsys.readouterr().err
    )


@row("13.14")
def test_options_reach_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    write("a\n")
    monkeypatch.setenv("RAWCHAT_MODEL", "from-variable")
    monkeypatch.setenv("RAWCHAT_HEADER", "X-One: 1")
    with serving(OK) as server:
        assert run(server, "-H", "X-Two: 2", "--deadline", "30") == 0
        assert run(server, "--no-resume", "-m", "from-word", "-H", "User-Agent:") == 0
    first, second = server.requests
    assert "rawchat" in first.headers["user-agent"]
    assert "rawchat" not in second.headers.get("user-agent", "")
    assert (first.headers["x-one"], first.headers["x-two"]) == ("1", "2")
    assert (first.json["model"], second.json["model"]) == ("from-variable", "from-word")


@row("13.14")
def test_a_deadline_bounds_a_row() -> None:
    write("a\n")
    late = threading.Event()
    with serving([late]) as server:
        assert run(server, "--deadline", "0.05") == 1
        late.set()
    assert results()[0]["error"]["code"] == "DeadlineExceededError"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--workers", "x"], "--workers: not a whole number: x"),
        (["--timeout", "soon"], "--timeout: not a number: soon"),
        (["--workers", "0"], "--workers must be at least 1"),
        (["-H", "nonsense"], "--header: every line must be 'Name: value'"),
        (["--api-key=sk-very-secret"], "no such option: --api-key; set OPENAI_API_KEY"),
        (["--worker", "3"], "no such option: --worker (did you mean --workers?)"),
        (["one.txt"], "more than IN and OUT: one.txt"),
        (["-o", "seed", "\udcff"], "-o seed is not valid UTF-8: byte 0xFF at position 1"),
        (["-o", "seed", "@none"], "none: No such file or directory"),
        (["--key-file", "empty"], "empty: no key in it"),
        (["--deadline", "-1"], "deadline"),
    ],
)
def test_wrong_use_is_one_line(
    words: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write("a\n")
    write("", "empty")
    with serving(OK) as server:
        assert run(server, *words) == 2
    error = capsys.readouterr().err
    assert error.startswith("rawchat: ")
    assert reason in error
    assert error.count("\n") == 1
    assert "secret" not in error


# ---- threads


@row("13.15")
def test_the_command_and_the_function_work_in_any_thread() -> None:
    write("a\nb\n")
    codes: list[int] = []
    counts: list[int] = []
    with serving(OK) as server:

        def work() -> None:
            codes.append(run(server))
            rows = bulk.run_rows(["x", "y"], base_url=server.url, environ={})
            counts.append(len(list(rows)))

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert (codes, counts) == ([0], [2])


def test_a_proxy_and_certificates_reach_the_client(capsys: pytest.CaptureFixture[str]) -> None:
    write("a\n")
    with serving(OK) as proxy:
        target = ["in.txt", "out.jsonl", "--base-url", "http://model.invalid/v1", "--allow-http"]
        assert bulk.main([*target, "--proxy", proxy.origin]) == 0
        assert proxy.requests[0].target == "http://model.invalid/v1/chat/completions"
        assert "model" in proxy.requests[0].json
        assert "proxy" not in proxy.requests[0].json
        secure = proxy.url.replace("http:", "https:")
        words = ["in.txt", "-", "--base-url", secure, "--cacert", "missing.pem", "--retries", "0"]
        assert bulk.main(words) in (1, 2)
    shown = capsys.readouterr()
    assert "missing.pem" in shown.out + shown.err
