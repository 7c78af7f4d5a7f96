"""What is wrong with an answer: it was cut or refused, it is not the JSON that was asked for, it is harmful."""

import json
from typing import Any

import pytest

from ..command import Run, line
from ..server import answer, completion, delta, event, serving, streamed, streamed_text

row = pytest.mark.row

SCHEMA = "name, age int"
GOOD = '{"name": "Ann", "age": 7}'
FORMAT = {
    "type": "json_schema",
    "json_schema": {
        "name": "answer",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        },
    },
}


# ---- --strict


@row("13.5")
@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 9)])
@pytest.mark.parametrize("reason", ["length", "content_filter"])
@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--jsonl"], ["--json"]])
def test_a_cut_answer_is_told_and_with_strict_is_9(
    run: Run, strict: list[str], code: int, reason: str, way: list[str]
) -> None:
    whole = completion()
    whole["choices"][0]["finish_reason"] = reason
    plain = way in (["--no-stream"], ["--json"])
    script = answer(whole) if plain else streamed([event(delta("Hello", reason)), event("[DONE]")])
    with serving(script) as server:
        result = run("--base-url", server.url, *way, *strict, "Q")
    assert result.code == code
    assert line(result).startswith(f"the answer was cut ({reason})")
    assert ("--max-tokens" in result.err) == (reason == "length")
    assert b"Hello" in result.out


@row("11.10", "13.5")
@pytest.mark.parametrize(("strict", "code"), [([], 0), (["--strict"], 9)])
@pytest.mark.parametrize("way", [[], ["--no-stream"]])
def test_a_refusal_and_an_unusual_finish_reason_are_told_and_with_strict_are_9(
    run: Run, strict: list[str], code: int, way: list[str]
) -> None:
    refusal = {"role": "assistant", "content": None, "refusal": "I must not"}
    refused = {"choices": [{"index": 0, "message": refusal, "finish_reason": "stop"}]}
    odd = completion()
    odd["choices"][0]["finish_reason"] = "engine_overloaded"
    script = [answer(refused), answer(odd)]
    if not way:
        parts = delta({"role": "assistant", "refusal": "I must not"}, "stop")
        ended = delta("Hello", "engine_overloaded")
        script = [streamed([event(part), event("[DONE]")]) for part in (parts, ended)]
    with serving(*script) as server:
        first, second = (run("--base-url", server.url, *way, *strict, "Q") for _ in script)
    assert (first.code, line(first)) == (code, "the model refused: I must not")
    assert (second.code, second.out) == (code, b"Hello\n")
    assert line(second) == "the answer ended for an unusual reason: engine_overloaded"


def test_strict_is_content_with_a_whole_answer(run: Run) -> None:
    with serving(streamed()) as server:
        assert run("--base-url", server.url, "--strict", "Q") == (0, b"Hello\n", "")


# ---- --schema, --json-mode


@pytest.mark.parametrize("argv", [["--schema", SCHEMA], ["--json-mode"]])
@pytest.mark.parametrize(
    "text", [GOOD, f"```json\n{GOOD}\n```", f" {GOOD}\n", f"<think>{{x}}\n</think>\n\n{GOOD}"]
)
def test_json_that_fits_is_printed_as_json(run: Run, argv: list[str], text: str) -> None:
    whole = completion(text)
    with serving(streamed_text(text), answer(whole)) as server:
        results = [run("--base-url", server.url, *argv, *way, "Q") for way in ([], ["--no-stream"])]
    assert results[0] == results[1]
    assert (results[0].code, results[0].err) == (0, "")
    assert json.loads(results[0].out) == json.loads(GOOD)
    wanted = FORMAT if argv[0] == "--schema" else {"type": "json_object"}
    assert [seen.json["response_format"] for seen in server.requests] == [wanted] * 2


@pytest.mark.parametrize(
    ("argv", "text", "said"),
    [
        (
            ["--schema", SCHEMA],
            '{"name": "Ann", "age": "7"}',
            "the answer does not fit: age: not integer: '7'",
        ),
        (["--schema", SCHEMA], '{"name": "Ann"}', "the answer does not fit: the top: missing age"),
        (["--schema", SCHEMA], "I'm sorry", "the answer does not fit: not JSON"),
        (["--schema", SCHEMA], "", "the answer does not fit: not JSON"),
        (["--json-mode"], f"Here: {GOOD}", "the answer does not fit: not JSON"),
        (["--json-mode"], '{"x": NaN}', "the answer does not fit: not JSON"),
        (["--json-mode"], "[" * 9000, "the answer does not fit: not JSON"),
    ],
)
@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--json"], ["--jsonl"]])
def test_json_that_does_not_fit_is_10_and_stays_on_standard_output(
    run: Run, argv: list[str], text: str, said: str, way: list[str]
) -> None:
    with serving(
        streamed_text(text) if way in ([], ["--jsonl"]) else answer(completion(text))
    ) as server:
        result = run("--base-url", server.url, *argv, *way, "Q")
    assert result.code == 10
    assert line(result).startswith(said)
    if way in ([], ["--no-stream"]):
        assert result.out == text.encode() + b"\n"
    else:
        assert b"choices" in result.out


def test_each_of_several_answers_has_to_fit(run: Run) -> None:
    choices = [
        {"index": at, "message": {"content": text}, "finish_reason": "stop"}
        for at, text in enumerate([GOOD, '{"name": 1, "age": 1}'])
    ]
    with serving(answer({"choices": choices})) as server:
        result = run("--base-url", server.url, "--schema", SCHEMA, "-n", "2", "--no-stream", "Q")
    assert (result.code, line(result)) == (10, "the answer does not fit: name: not string: 1")


def test_an_answer_that_was_cut_says_so_and_is_10(run: Run) -> None:
    with serving(streamed_text('{"name": "An', "length")) as server:
        result = run("--base-url", server.url, "--schema", SCHEMA, "Q")
    assert (result.code, result.out) == (10, b'{"name": "An\n')
    assert line(result).startswith("the answer was cut (length)")


def test_a_real_model_is_held_to_the_schema(run: Run, local_url: str) -> None:
    result = run(
        "--base-url",
        local_url,
        "--schema",
        "ok bool, n int",
        "-t",
        "0",
        "--max-tokens",
        "60",
        "Two?",
    )
    assert (result.code, result.err) == (0, "")
    assert sorted(json.loads(result.out)) == ["n", "ok"]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--schema", "a b c"], "'a b c' is not"),
        (["--schema", SCHEMA, "--json-mode"], "--schema and --json-mode cannot be"),
        (["--schema", SCHEMA, "--complete"], "--complete and --schema cannot be combined"),
    ],
)
def test_wrong_use_is_2(run: Run, argv: list[str], said: str) -> None:
    result = run("--base-url", "http://127.0.0.1:9/v1", *argv, "Q")
    assert result.code == 2
    assert said in line(result)


# ---- --moderate

HARMFUL = {
    "model": "omni",
    "results": [{"flagged": True, "categories": {"violence": True, "hate": True, "self": False}}],
}
HARMLESS = {"results": [{"flagged": False, "categories": {"violence": False}}]}


def test_moderation_prints_the_categories_and_is_11_if_harmful(run: Run) -> None:
    untold = {"results": [{"flagged": True}]}
    with serving(*map(answer, (HARMFUL, HARMLESS, HARMFUL, untold))) as server:
        assert run("--base-url", server.url, "--moderate", "I'll kill") == (
            11,
            b"hate\nviolence\n",
            "",
        )
        assert run("--base-url", server.url, "--moderate", stdin=b"Hi\n") == (0, b"", "")
        assert run("--base-url", server.url, "--moderate", "--json", "x") == (
            11,
            json.dumps(HARMFUL).encode(),
            "",
        )
        assert run("--base-url", server.url, "--moderate", "x") == (11, b"flagged\n", "")
    assert [seen.json for seen in server.requests[:2]] == [{"input": "I'll kill"}, {"input": "Hi"}]
    assert server.requests[0].target == "/v1/moderations"


@pytest.mark.parametrize("results", [None, 7, [], [7], [{}]])
def test_a_moderation_without_a_verdict_is_5_not_harmless(run: Run, results: Any) -> None:
    with serving(answer({"results": results})) as server:
        result = run("--base-url", server.url, "--moderate", "Q")
    assert (result.code, result.out, line(result)) == (
        5,
        b"",
        "moderation response without 'flagged'",
    )


@pytest.mark.parametrize("categories", [7, [1], None])
def test_categories_that_are_none_leave_the_verdict(run: Run, categories: Any) -> None:
    with serving(answer({"results": [{"flagged": True, "categories": categories}]})) as server:
        assert run("--base-url", server.url, "--moderate", "Q") == (11, b"flagged\n", "")


def test_a_model_for_chats_does_not_moderate_one_that_is_named_does(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAWCHAT_MODEL", "gpt")
    monkeypatch.setenv("RAWCHAT_SYSTEM", "for chats only")
    with serving(answer(HARMLESS)) as server:
        for argv in ([], ["-m", "omni"], ["-o", "model", "other"]):
            assert run("--base-url", server.url, "--moderate", *argv, "Q") == (0, b"", "")
    assert [seen.json.get("model") for seen in server.requests] == [None, "omni", "other"]
