"""The probe on an API with one defect at a time: it finds that one, and reports no other."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rawchat.config import load_config
from rawchat.doctor import check_chat, probe
from rawchat.doctor.adapter import Sender
from rawchat.doctor.check_server import CHECKS
from rawchat.doctor.exchanges import Exchange, Outcome
from rawchat.errors import APIConnectionError
from rawchat.transport import over_http
from rawchat.wire import Request, Response

from ..server import CLOSE, answer, event, serving
from .servers import KEY, MODEL, Api, Clock, Replying

NEEDS_STREAM = {"[DONE]": "not tried", "stream_usage": "not tried", "tools_stream": "not tried"}
NEEDS_TOOLS = {
    "tools_stream": "not tried",
    "tools_parallel": "not tried",
    "tools_round_trip": "not tried",
}


#: The checks that a model's words may leave undecided.
WORDED = {"stop", "seed", "logprobs", "max_tokens", "json_mode", "json_schema"}


def found(diagnosis: Any) -> dict[str, str]:
    """The checks that are not ok, with their status."""
    return {
        name: check["status"] for name, check in diagnosis.server.items() if check["status"] != "ok"
    }


def test_a_healthy_server_has_no_finding(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "--probe")
    assert found(diagnosis) == {}
    assert list(diagnosis.server) == [check.name for check in CHECKS]
    assert diagnosis.code == 0


DEFECTS = [
    ("models-missing", {"models": "no", "overflow": "not tried", "gzip": "no"}, 0),
    ("models-bare", {"models": "differs", "gzip": "no"}, 0),
    ("no-usage", {"chat": "differs"}, 0),
    ("no-finish", {"chat": "differs"}, 0),
    ("stream-ignored", {"stream": "no", **NEEDS_STREAM}, 5),
    ("stream-length", {"stream": "differs"}, 0),
    ("stream-buffered", {"stream": "differs"}, 0),
    ("stream-no-finish", {"stream": "differs"}, 0),
    ("stream-cut", {"stream": "no", **NEEDS_STREAM}, 8),
    ("slow-start", {}, 0),
    ("no-done", {"[DONE]": "no"}, 0),
    ("usage-ignored", {"stream_usage": "no"}, 0),
    ("stream_options-refused", {"stream_usage": "no"}, 0),
    ("n-ignored", {"n": "no"}, 0),
    ("n-refused", {"n": "no"}, 0),
    ("stop-ignored", {"stop": "no"}, 0),
    ("seed-ignored", {"seed": "no"}, 0),
    ("no-logprobs", {"logprobs": "no"}, 0),
    ("max_tokens-refused", {"max_tokens": "differs"}, 0),
    ("limit-ignored", {"max_tokens": "no"}, 0),
    ("unknown-refused", {"unknown_parameters": "differs"}, 0),
    ("tools-ignored", {"tools": "no", **NEEDS_TOOLS}, 0),
    ("tools-refused", {"tools": "no", **NEEDS_TOOLS}, 0),
    ("required-refused", {"tools": "differs"}, 0),
    ("arguments-object", {"tools": "differs"}, 0),
    ("no-index", {"tools_stream": "differs"}, 0),
    ("one-call", {"tools_parallel": "not tried"}, 0),
    ("null-refused", {"tools_round_trip": "differs"}, 0),
    ("json-prose", {"json_mode": "no"}, 0),
    ("json-fenced", {"json_mode": "differs"}, 0),
    ("schema-ignored", {"json_schema": "no"}, 0),
    ("completions-missing", {"completions": "no"}, 0),
    ("embeddings-missing", {"embeddings": "no"}, 0),
    ("errors-text", {"errors": "differs"}, 0),
    ("errors-500", {"errors": "differs"}, 0),
    ("empty-accepted", {"errors": "no"}, 0),
    ("overflow-unclear", {"overflow": "no"}, 0),
    ("closes", {"keep_alive": "no"}, 0),
    ("no-gzip", {"gzip": "no"}, 0),
]


@pytest.mark.parametrize(
    ("defect", "expected", "code"), DEFECTS, ids=[defect for defect, _, _ in DEFECTS]
)
def test_a_defect_is_found_and_no_other_is_reported(
    diagnose: Any, defect: str, expected: Any, code: int
) -> None:
    clock = Clock()
    with Replying(Api(defect, clock)) as server:
        diagnosis = diagnose(server.url, "--probe", clock=clock)
    assert (found(diagnosis), diagnosis.code) == (expected, code), diagnosis.text


@pytest.mark.parametrize(
    ("gap", "pause", "status"),
    [(0.0, 0.4, "differs"), (0.03, 0.4, "ok"), (0.0, 0.1, "ok")],
    ids=["a buffer", "a busy server that flows", "a fast server that pauses shortly"],
)
def test_bursts_are_a_buffer_unless_the_events_flow_within(
    gap: float, pause: float, status: str
) -> None:
    pieces = []
    at = 0.1
    for number in range(60):
        at += pause if number in (20, 40) else gap
        delta = {"choices": [{"index": 0, "delta": {"content": "1"}}]}
        pieces.append((at, event(delta)))
    finish = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    pieces.append((at, event(finish)))

    def send(exchange: Exchange, timeout: float) -> Outcome:
        return Outcome(200, {}, pieces, at)

    session = probe.Session(send, MODEL, max_calls=9, clock=Clock())
    assert check_chat.stream(session).status == status


def test_an_answer_without_blanks_can_be_stopped_within(diagnose: Any) -> None:
    api = Api()
    api.separator = ""
    with Replying(api) as server:
        assert found(diagnose(server.url, "--probe=stop")) == {}
    assert json.loads(server.requests[-1].body)["stop"] == ["1314"]


def test_headers_have_small_letters_where_the_body_breaks() -> None:
    def broken() -> Iterator[bytes]:
        yield b"data: 1"
        raise APIConnectionError("connection lost")

    def transport(request: Request) -> Response:
        return Response(200, {"Content-Encoding": "gzip"}, broken())

    config = load_config({"base_url": "http://127.0.0.1:1/v1", "api_key": KEY}, {})
    outcome = Sender(config, transport, Clock())(Exchange("GET", "/models"), 5.0)  # type: ignore[arg-type]
    assert (outcome.status, outcome.headers) == (200, {"content-encoding": "gzip"})
    assert outcome.pieces == [(0.0, b"data: 1")]
    assert outcome.failure.startswith("connection lost")


def test_an_idle_connection_that_was_closed_is_no_finding() -> None:
    """Tinyproxy closes each connection a moment after its response."""
    found = answer({"data": []})
    with serving(found, [CLOSE], found, [CLOSE], [CLOSE]) as server:
        config = load_config({"base_url": server.url, "api_key": KEY}, {})
        sender = Sender(config, over_http(server.url, environ={}), Clock())
        outcomes = [sender(Exchange("GET", "/models"), 5.0) for _ in range(3)]
        sender.close()
    assert [outcome.status for outcome in outcomes] == [200, 200, 0]
    assert len(server.requests) == 5


def test_the_embedded_model(diagnose: Any, local_url: str) -> None:
    """llama.cpp does not compress, and cannot force this model to call a tool.

    The model's words depend on the processor's arithmetic; no word of it makes a feature `no` or `differs`.
    """
    diagnosis = diagnose(local_url, "--probe", "--timeout", "600", clock=time.monotonic)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    findings = found(diagnosis)
    for name in ("tools", *NEEDS_TOOLS):
        findings.pop(name, None)
    judged = {name: status for name, status in findings.items() if status != "not tried"}
    assert judged == {"gzip": "no"}, diagnosis.text
    unclear = [name for name, status in findings.items() if status == "not tried"]
    assert set(unclear) <= WORDED


def of_text(text: Any, finish: str = "stop", used: int = 9, **fields: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": finish, **fields}
    return {"choices": [choice], "usage": {"completion_tokens": used}}


def of_calls(arguments: str, finish: str = "tool_calls", count: int = 1) -> dict[str, Any]:
    payload = of_text(None, finish)
    function = {"name": "get_weather", "arguments": arguments}
    calls = [{"id": f"call_{n}", "type": "function", "function": function} for n in range(count)]
    payload["choices"][0]["message"]["tool_calls"] = calls
    return payload


PERSON = '{"name": "Ann", "age": 7}'
WORDINGS = [
    ("chat", [of_text("1, 2")], "ok", ""),
    ("chat", [of_text("")], "ok", "the answer is empty"),
    ("chat", [of_text(None, "length")], "ok", "the answer was cut at 96 tokens"),
    ("chat", [of_text(None)], "differs", "without text"),
    ("stop", [of_text("1, 2, 3, 4, 5"), of_text("1, 2,")], "ok", ""),
    ("stop", [of_text("1, 2, 3, 4, 5"), of_text("")], "ok", ""),
    ("stop", [of_text("1, 2, 3, 4, 5"), of_text("1, 2, 3, 4, 5")], "no", "ignored"),
    ("stop", [of_text("1, 2, 3, 4, 5"), of_text("One, two")], "not tried", "in other words"),
    ("stop", [of_text("ok")], "not tried", "too short"),
    ("seed", [of_text("A"), of_text("A"), of_text("B")], "ok", ""),
    ("seed", [of_text("A"), of_text("B"), of_text("B"), of_text("C")], "ok", ""),
    ("seed", [of_text("A"), of_text("B"), of_text("C")], "no", "three answers"),
    ("seed", [of_text("A"), of_text("A"), of_text("A")], "not tried", "the same answer"),
    ("logprobs", [of_text("", "length", logprobs={"content": []})], "not tried", "cut at 8"),
    ("logprobs", [of_text("", used=1, logprobs={"content": []})], "not tried", "empty"),
    ("logprobs", [of_text("Hi")], "no", "ignored"),
    ("logprobs", [of_text("Hi", logprobs={"tokens": ["Hi"]})], "differs", "another shape"),
    ("max_tokens", [of_text("1", "length"), of_text("1", "length")], "ok", ""),
    ("max_tokens", [of_text("1", "length"), of_text("No.", used=3)], "not tried", "complete"),
    ("max_tokens", [of_text("1", "length"), of_text("1, 2, 3", used=6)], "differs", "ignored"),
    ("tools", [of_calls('{"city": "Par', "length")], "ok", ""),
    ("tools", [of_calls("Paris!")], "ok", ""),
    ("tools", [of_calls("", "stop")], "differs", "finish_reason"),
    ("tools", [of_text('{"name": "get_wea', "length")], "not tried", "cut at 96"),
    ("tools", [of_text("", "length")], "not tried", "cut at 96"),
    ("tools", [of_text("It is sunny.", "length")], "no", "text in place of a call"),
    ("tools_parallel", [of_calls(PERSON)], "not tried", "1 call where two"),
    ("tools_parallel", [of_text("Sunny.")], "not tried", "0 call where two"),
    ("tools_parallel", [of_calls(PERSON, count=2)], "ok", ""),
    ("json_mode", [of_text(PERSON, "length")], "ok", ""),
    ("json_mode", [of_text('{"name": "A', "length")], "ok", "cut at our limit of 96"),
    ("json_mode", [of_text('{"name": "A', used=96)], "ok", "cut at our limit of 96"),
    ("json_mode", [of_text("{\n   ", "length")], "ok", "cut at our limit of 96"),
    ("json_mode", [of_text("\n   ", "length")], "not tried", "cut at 96"),
    ("json_mode", [of_text("")], "not tried", "empty"),
    ("json_mode", [of_text("Her name is Ann", "length")], "no", "ignored"),
    ("json_mode", [of_text("{Ann} is 7", "length")], "no", "ignored"),
    ("json_mode", [of_text('{"name": "A')], "no", "ignored"),
    ("json_mode", [of_text(f"```json\n{PERSON}\n```")], "differs", "fenced"),
    ("json_mode", [of_text('```json\n{"name": "A', "length")], "differs", "fenced"),
    ("json_schema", [of_text(PERSON)], "ok", ""),
    ("json_schema", [of_text('{"name": "A', "length")], "ok", "cut at our limit of 96"),
    ("json_schema", [of_text('{ "na', "length")], "not tried", "cut at 96"),
    ("json_schema", [of_text('{"who": "A', "length")], "no", "other keys"),
    ("json_schema", [of_text('{"name": 7, "age": 7}')], "no", "other types"),
    ("json_schema", [of_text("Ann is 7", "length")], "no", "ignored"),
    ("json_schema", [of_text("", "length")], "not tried", "cut at 96"),
]


@pytest.mark.parametrize(("name", "payloads", "status", "how"), WORDINGS)
def test_the_words_of_a_model_are_no_finding_about_the_server(
    name: str, payloads: Any, status: str, how: str
) -> None:
    """Whatever a model writes: only what the server does is `no` or `differs`."""
    left = list(payloads)

    def send(exchange: Exchange, timeout: float) -> Outcome:
        return Outcome(200, {}, [(0.0, json.dumps(left.pop(0)).encode())], 0.0)

    session = probe.Session(send, MODEL, max_calls=9, clock=Clock())
    session.results["tools"] = probe.Verdict("ok")
    if name == "stop":
        check_chat.chat(session)
    check = next(check for check in CHECKS if check.name == name)
    verdict = check.run(session)
    assert (verdict.status, left) == (status, [])
    assert how in verdict.how
    assert bool(how) == bool(verdict.how)


def test_a_call_that_could_not_be_forced_is_the_models_choice() -> None:
    refusal = Outcome(400, {}, [(0.0, b'{"error": {"message": "tool_choice"}}')], 0.0)
    text = Outcome(200, {}, [(0.0, json.dumps(of_text("Sunny.")).encode())], 0.0)
    left = [refusal, text]
    session = probe.Session(lambda exchange, timeout: left.pop(0), MODEL, 9, clock=Clock())
    verdict = next(check for check in CHECKS if check.name == "tools").run(session)
    assert (verdict.status, "chose to answer with text" in verdict.how) == ("not tried", True)


def test_every_defect_of_the_api_is_in_the_list() -> None:
    import inspect
    import re

    from . import servers

    named = set(re.findall(r'"((?:[a-z_]+-)+[a-z0-9]+|closes)"', inspect.getsource(servers.Api)))
    assert named - {"accept-encoding"} == {defect for defect, _, _ in DEFECTS}


def test_named_checks_decide_the_exit_code(diagnose: Any) -> None:
    with Replying(Api("schema-ignored")) as server:
        diagnosis = diagnose(server.url, "--probe=json_schema,n")
    assert list(diagnosis.server) == ["chat", "n", "json_schema"]
    assert diagnosis.code == 10
    with Replying(Api("completions-missing")) as server:
        assert diagnose(server.url, "--probe=completions").code == 4


def test_the_cost_is_told_and_kept(diagnose: Any) -> None:
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "--probe")
    bounds = diagnosis.report["bounds"]
    assert bounds["checks"] == len(CHECKS)
    stage_1 = 2
    assert len(server.requests) - stage_1 <= bounds["calls"]
    asked = [request.json.get("max_tokens", 0) for request in server.requests if request.body]
    assert sum(asked) <= bounds["tokens"]


def test_the_calls_are_bounded() -> None:
    def send(exchange: Exchange, timeout: float) -> Outcome:
        return Outcome(200, {}, [(0.0, b'{"data": []}')], 0.0)

    session = probe.Session(send, MODEL, max_calls=1, clock=Clock())
    checks = [check for check in CHECKS if check.name in ("models", "completions")]
    results = list(probe.run_checks(checks, session, Clock(), lambda name: None))
    assert [result.verdict.status for result in results] == ["ok", "not tried"]
    assert results[1].verdict.how == "the bound of 1 calls is reached"


def test_the_time_is_bounded() -> None:
    clock = Clock()
    given = []

    def send(exchange: Exchange, timeout: float) -> Outcome:
        given.append(timeout)
        clock.advance(50)
        return Outcome(200, {}, [(0.0, b'{"data": []}')], 50.0)

    session = probe.Session(send, MODEL, max_calls=9, max_seconds=90, clock=clock)
    checks = [check for check in CHECKS if check.name in ("models", "completions", "embeddings")]
    results = list(probe.run_checks(checks, session, clock, lambda name: None))
    assert given == [60.0, 40.0]
    assert [result.verdict.how for result in results][2] == "the time is used up"


def test_a_timeout_bounds_each_call(diagnose: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []
    call = Sender.__call__

    def recorded(sender: Sender, exchange: Exchange, timeout: float) -> Outcome:
        given.append(timeout)
        return call(sender, exchange, timeout)

    monkeypatch.setattr(Sender, "__call__", recorded)
    with Replying(Api()) as server:
        diagnosis = diagnose(server.url, "--probe=models", "--timeout", "600")
    assert given == [600.0]
    assert diagnosis.report["bounds"]["seconds"] == 3000.0


def test_a_rate_limit_is_no_finding_about_the_feature() -> None:
    def send(exchange: Exchange, timeout: float) -> Outcome:
        return Outcome(429, {}, [(0.0, b'{"error": {"message": "slow down"}}')], 0.0)

    session = probe.Session(send, MODEL, max_calls=9, clock=Clock())
    checks = [check for check in CHECKS if check.name == "models"]
    results = list(probe.run_checks(checks, session, Clock(), lambda name: None))
    assert results[0].verdict == probe.Verdict("not tried", "429: slow down", 6)
    assert probe.exit_code(results, ["models"]) == 6


def test_no_part_of_an_answer_or_a_prompt_is_shown(diagnose: Any) -> None:
    with Replying(Api()) as server:
        text = diagnose(server.url, "--probe").text
    for secret in (KEY, "Argo", "1, 2, 3", "Count from", "Ann"):
        assert secret not in text


def test_an_unknown_check_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    from rawchat.doctor.command import main

    assert main(["--probe=chat,toolz"], {}) == 2
    assert "no check is called 'toolz'; there are models, chat" in capsys.readouterr().err
