"""Other questions, other answers: JSON that has to fit, models, moderation, pictures."""

import base64
import json
import os
import pathlib
from typing import Any

import pytest

from ..command import Run, line
from ..server import answer, completion, delta, event, serving, streamed, streamed_text

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


# ---- --extract, --reasoning

FENCED = "Sure:\n\n  ```sh\n  echo 1\n\n    echo `2`\n  ```\nand\n```\nno\n```\n"


@pytest.mark.parametrize("way", [[], ["--no-stream"]])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FENCED, "echo 1\n\n  echo `2`\n"),
        ("~~~~\n```\n~~~\n~~~~ \nb", "```\n~~~\n"),
        ("```python\nx = 1", "x = 1\n"),
        ("```\n```", "\n"),
    ],
)
def test_extract_prints_the_first_fenced_block_alone(
    run: Run, way: list[str], text: str, expected: str
) -> None:
    with serving(answer(completion(text)) if way else streamed_text(text)) as server:
        assert run("--base-url", server.url, "-x", *way, "Q") == (0, expected.encode(), "")


def test_extract_keeps_the_whole_answer_in_the_conversation(run: Run) -> None:
    with serving(streamed_text(FENCED), streamed_text("```\nx\n```")) as server:
        for expected in (b"echo 1\n\n  echo `2`\n", b"x\n"):
            result = run("--base-url", server.url, "-x", "--conversation", "talk.jsonl", "Q")
            assert result == (0, expected, "")
    assert server.requests[1].json["messages"][1]["content"] == FENCED


def test_an_answer_without_a_fenced_block_is_printed_and_is_10(run: Run) -> None:
    with serving(streamed_text("No ``` here.")) as server:
        result = run("--base-url", server.url, "--extract", "Q")
    assert (result.code, result.out) == (10, b"No ``` here.\n")
    assert line(result) == "the answer holds no fenced code block, and is printed as it is"


@pytest.mark.parametrize("other", [["--json"], ["--jsonl"], ["--json-mode"], ["--tools", "x.py"]])
def test_extract_does_not_go_with_other_forms(run: Run, other: list[str]) -> None:
    result = run("-x", *other, "Q")
    assert (result.code, result.out) == (2, b"")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize("way", [[], ["--no-stream"], ["--json"]])
def test_reasoning_is_hidden_unless_it_is_asked_for(run: Run, name: str, way: list[str]) -> None:
    whole = completion("Rome")
    whole["choices"][0]["message"][name] = "Let me\nthink."
    deltas = [{"role": "assistant"}, {name: "Let me\nth"}, {name: "ink.", "content": None}]
    parts = [event(delta(part)) for part in (*deltas, {"content": "Ro"}, {"content": "me"})]
    script = streamed([*parts, event(delta({}, "stop")), event("[DONE]")])
    with serving(answer(whole) if way else script) as server:
        for argv, expected in (
            (["--reasoning", "show"], "Let me\nthink.\n"),
            (["--reasoning", "hide"], ""),
            ([], ""),
        ):
            result = run("--base-url", server.url, *way, *argv, "Q")
            assert (result.code, result.err) == (0, expected)
            assert b"Rome" in result.out


def test_what_came_of_a_broken_stream_stays(run: Run) -> None:
    with serving(streamed([event(delta('{"name"')), event({"error": "overloaded"})])) as server:
        result = run("--base-url", server.url, "--schema", "name, age int", "Q")
    assert (result.code, result.out) == (8, b'{"name"\n')


# ---- --models

MODELS = {
    "object": "list",
    "data": [{"id": "zeta"}, {"id": "alpha", "object": "model"}, {"id": "mid\ndle"}],
}


def test_models_are_ids_sorted_one_in_a_line(run: Run) -> None:
    with serving(answer(MODELS)) as server:
        assert run("--base-url", server.url, "--models", stdin=b"not read") == (
            0,
            b"alpha\nmid dle\nzeta\n",
            "",
        )
        assert run("--base-url", server.url, "--models", "--json") == (
            0,
            json.dumps(MODELS).encode(),
            "",
        )
    assert [(seen.method, seen.target, seen.body) for seen in server.requests] == [
        ("GET", "/v1/models", b"")
    ] * 2


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["Q"], "--models takes no prompt"),
        (["-t", "0"], "--models and --temperature"),
        (["-o", "a", "1"], "--option"),
        (["--image", "x.png"], "--image and --models"),
        (["--moderate"], "--moderate and --models"),
    ],
)
def test_models_goes_with_nothing_else(run: Run, argv: list[str], said: str) -> None:
    result = run("--base-url", "http://127.0.0.1:9/v1", "--models", *argv)
    assert result.code == 2
    assert said in line(result)


@pytest.mark.parametrize(
    ("data", "out"), [(7, b""), ({"a": 1}, b""), ([7, {"id": "m"}, ["x"]], b"m\n")]
)
def test_models_that_are_none_are_left_out(run: Run, data: Any, out: bytes) -> None:
    with serving(answer({"data": data})) as server:
        assert run("--base-url", server.url, "--models") == (0, out, "")


def test_no_models_at_all_and_an_error(run: Run) -> None:
    with serving(answer({"data": []}), answer({"error": "no"}, 404)) as server:
        assert run("--base-url", server.url, "--models") == (0, b"", "")
        assert run("--base-url", server.url, "--models").code == 4


# ---- --image


def drawn(*data: bytes) -> Any:
    return answer(
        {"created": 1, "data": [{"b64_json": base64.b64encode(each).decode()} for each in data]}
    )


def test_a_picture_is_drawn_and_saved(run: Run) -> None:
    with serving(drawn(PNG), drawn(PNG, PNG + b"2")) as server:
        assert run("--base-url", server.url, "--image", "cat.png", "a", "cat") == (
            0,
            b"cat.png\n",
            "",
        )
        result = run(
            "--base-url",
            server.url,
            "--image",
            "two.png",
            "-n",
            "2",
            "-m",
            "d",
            "-o",
            "size",
            "1x1",
            "cats",
        )
        assert result == (0, b"two.png\ntwo-2.png\n", "")
    assert [pathlib.Path(name).read_bytes() for name in ("cat.png", "two.png", "two-2.png")] == [
        PNG,
        PNG,
        PNG + b"2",
    ]
    assert [seen.json for seen in server.requests] == [
        {"prompt": "a cat"},
        {"prompt": "cats", "n": 2, "model": "d", "size": "1x1"},
    ]
    assert server.requests[0].target == "/v1/images/generations"


@pytest.mark.parametrize(
    ("path", "said"), [("no/such.png", "cannot be written"), (".", ".: cannot be written")]
)
def test_where_no_file_can_be_written_nothing_is_drawn(run: Run, path: str, said: str) -> None:
    with serving(drawn(PNG)) as server:
        result = run("--base-url", server.url, "--image", path, "Q")
    assert (result.code, server.requests) == (2, [])
    assert said in line(result)


def test_what_is_no_picture_is_5_and_not_saved(run: Run) -> None:
    with serving(drawn(b"<html>"), answer({"data": []})) as server:
        for _ in range(2):
            result = run("--base-url", server.url, "--image", "cat.png", "Q")
            assert (result.code, result.out) == (5, b"")
            assert "picture" in line(result)
    assert os.listdir() == []
