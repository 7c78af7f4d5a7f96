"""-v and --log: what a call used, in a line on standard error, and in a line of JSON."""

import json
import os
import pathlib
import re
import signal
import stat
import threading
import time
from datetime import datetime
from typing import Any

import pytest

from rawchat.cli.report import CallLog, format_usage
from rawchat.reply import Reply

from ..command import Run, line, started
from ..server import answer, completion, delta, event, serving, streamed

KEY = "sk-secret-0123456789"
USAGE = {
    "prompt_tokens": 1200,
    "completion_tokens": 50,
    "total_tokens": 1250,
    "prompt_tokens_details": {"cached_tokens": 200},
    "completion_tokens_details": {"reasoning_tokens": 30},
}
PRICES = {"m": {"prompt": 2.5, "completion": 10, "cached": 1.25}}
TOLD = streamed(
    [
        event(delta("Hel")),
        event(delta("lo", "stop")),
        event({"choices": [], "usage": USAGE}),
        event("[DONE]"),
    ],
    headers={"X-Request-Id": "req_1"},
)


@pytest.fixture(autouse=True)
def _prices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pathlib.Path("prices.json").write_text(json.dumps(PRICES), encoding="utf-8")


def logged(path: str = "calls.jsonl") -> list[Any]:
    return [
        json.loads(text) for text in pathlib.Path(path).read_text(encoding="utf-8").splitlines()
    ]


# ---- -v


def reply(model: str = "m", usage: Any = USAGE) -> Reply:
    found = Reply({**completion("Hi"), "model": model, **({"usage": usage} if usage else {})})
    return found


@pytest.mark.parametrize(
    ("replies", "seconds", "prices", "expected"),
    [
        (
            [reply()],
            2.0,
            None,
            "1200 tokens in (200 cached), 50 out (30 reasoning); 2.00 s, 25.0 tokens a second; m",
        ),
        (
            [reply()],
            2.0,
            PRICES,
            "1200 tokens in (200 cached), 50 out (30 reasoning); $0.003250; 2.00 s, 25.0 tokens a "
            "second; m",
        ),
        (
            [reply(), reply()],
            4.0,
            PRICES,
            "2400 tokens in (400 cached), 100 out (60 reasoning); $0.006500; 4.00 s, 25.0 "
            "tokens a second; m",
        ),
        (
            [reply("m-2024-08-06", {"prompt_tokens": 1000000, "completion_tokens": 0})],
            0.5,
            PRICES,
            "1000000 tokens in, 0 out; $2.500000; 0.50 s; m-2024-08-06",
        ),
        (
            [reply("other", {"prompt_tokens": 1})],
            1.0,
            PRICES,
            "1 tokens in, 0 out; no price for this model; 1.00 s; other",
        ),
        ([reply("m", None)], 1.0, None, "usage not reported; 1.00 s; m"),
    ],
)
def test_the_summary_is_one_line(replies: Any, seconds: float, prices: Any, expected: str) -> None:
    assert format_usage(replies, seconds, prices) == expected


@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--json"]])
def test_usage_is_told_on_standard_error_after_the_answer(run: Run, way: list[str]) -> None:
    plain = answer(completion(usage=USAGE), headers={"X-Request-Id": "req_1"})
    with serving(plain if way else TOLD) as server:
        result = run("--base-url", server.url, "-v", "--prices", "prices.json", *way, "Q")
    assert result.code == 0
    assert b"Hello" in result.out
    said = line(result)
    assert said.startswith("1200 tokens in (200 cached), 50 out (30 reasoning); $0.003250; 0.")
    assert said.endswith(" tokens a second; m; request id req_1")


def test_without_the_option_nothing_is_told(run: Run) -> None:
    with serving(TOLD) as server:
        assert run("--base-url", server.url, "Q") == (0, b"Hello\n", "")
        result = run("--base-url", server.url, "--prices", "prices.json", "Q")
    assert (result.code, result.out) == (0, b"Hello\n")
    assert line(result) == "--prices has no effect without -v or --log"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "7",
        '{"m": 1}',
        '{"m": {"prompt": 1}}',
        "{" * 9000,
        '{"m": {"prompt": "a", "completion": 1}}',
    ],
)
def test_prices_that_are_none_are_2_and_nothing_is_sent(run: Run, text: str) -> None:
    pathlib.Path("prices.json").write_text(text, encoding="utf-8")
    with serving(TOLD) as server:
        result = run("--base-url", server.url, "-v", "--prices", "prices.json", "Q")
    assert (result.code, result.out, server.requests) == (2, b"", [])
    assert line(result).startswith("prices.json: not a table of prices like")


# ---- --log


def test_a_line_for_each_call(run: Run) -> None:
    with serving(TOLD, answer(completion("Bye"))) as server:
        for way in ([], ["--no-stream"]):
            argv = ["--log", "calls.jsonl", "--prices", "prices.json", "-s", "Be brief", *way]
            assert run("--base-url", server.url, *argv, "où?").err == ""
    first, second = logged()
    messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "où?"}]
    assert abs(datetime.fromisoformat(first.pop("time")).timestamp() - time.time()) < 60
    assert re.fullmatch(r".*:\d\d\.\d{3}\+00:00", second["time"])
    assert 0 < first.pop("seconds") < 10
    assert first == {
        "model": "m",
        "messages": messages,
        "answer": "Hello",
        "usage": USAGE,
        "cost": 0.00325,
        "request_id": "req_1",
    }
    assert (second["answer"], second["messages"]) == ("Bye", messages)
    assert "usage" not in second
    assert stat.S_IMODE(os.stat("calls.jsonl").st_mode) == 0o600


def test_a_call_that_fails_is_logged_with_what_came_and_without_the_key(run: Run) -> None:
    broken = streamed(
        [event(delta("Hel")), event({"error": {"message": f"bad {KEY}"}})],
        headers={"X-Request-Id": "r2"},
    )
    with serving(
        answer({"error": {"message": f"you sent {KEY}"}}, 401, {"X-Request-Id": "r1"}), broken
    ) as server:
        for code in (3, 8):
            assert (
                run("--base-url", server.url, "--log", "calls.jsonl", f"my key is {KEY}").code
                == code
            )
    first, second = logged()
    assert first["error"].startswith("401: you sent ***")
    assert (first["model"], first["request_id"], first.get("answer")) == ("gpt-4o-mini", "r1", None)
    assert (second["answer"], second["request_id"]) == ("Hel", "r2")
    assert "bad ***" in second["error"]
    assert first["messages"][0]["content"] == "my key is ***"
    assert KEY not in pathlib.Path("calls.jsonl").read_text(encoding="utf-8")


def test_no_credential_of_a_url_or_a_header_is_logged(run: Run) -> None:
    with serving(
        answer({"error": {"message": "you sent query-key and header-key"}}, 401)
    ) as server:
        base_url = f"{server.url}?api-key=query-key"
        argv = ["--base-url", base_url, "-H", "X-Session: header-key", "--log", "calls.jsonl"]
        assert run(*argv, "query-key, header-key").code == 3
    (entry,) = logged()
    assert entry["error"].startswith("401: you sent *** and ***")
    assert entry["messages"][0]["content"] == "***, ***"


def test_other_questions_are_logged_too(run: Run) -> None:
    choices = [{"index": 0, "text": " upon", "finish_reason": "stop"}]
    script = [
        answer({"choices": choices}),
        answer({"results": [{"flagged": False}]}),
        answer({"data": []}),
    ]
    with serving(*script) as server:
        for argv in (["--complete", "--no-stream", "Once"], ["--moderate", "Hi"], ["--models"]):
            assert run("--base-url", server.url, "--log", "calls.jsonl", *argv).code == 0
    once, hi, models = logged()
    assert (once["prompt"], once["answer"], hi["input"], models["answer"]) == (
        "Once",
        " upon",
        "Hi",
        "",
    )


def test_several_answers_are_a_list(run: Run) -> None:
    choices = [
        {"index": at, "message": {"content": text}, "finish_reason": "stop"}
        for at, text in enumerate("ab")
    ]
    with serving(answer({"choices": choices})) as server:
        run("--base-url", server.url, "--log", "calls.jsonl", "--no-stream", "-n", "2", "Q")
    assert logged()[0]["answer"] == ["a", "b"]


def test_ctrl_c_is_logged() -> None:
    never = threading.Event()
    with (
        serving(streamed([event(delta("Hel")), never])) as server,
        started("--base-url", server.url, "--log", "calls.jsonl", "Q") as process,
    ):
        assert process.stdout
        assert os.read(process.stdout.fileno(), 100) == b"Hel"
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        never.set()
    assert logged()[0]["error"] == "KeyboardInterrupt"


def test_two_processes_at_once_do_not_mix_their_lines() -> None:
    long = "x" * 100000
    with serving(answer(completion(long))) as server:
        argv = ["--base-url", server.url, "--no-stream", "--log", "calls.jsonl", "Q"]
        with started(*argv) as one, started(*argv) as other:
            for process in (one, other):
                process.communicate(timeout=30)
    assert [entry["answer"] for entry in logged()] == [long, long]


def test_record_is_closed_with_its_block(tmp_path: pathlib.Path) -> None:
    from types import SimpleNamespace

    options = SimpleNamespace(prices=None, log=str(tmp_path / "log"), usage=False)
    with CallLog(options, None) as record:  # type: ignore[arg-type]
        pass
    assert record._file is not None
    assert record._file.closed
