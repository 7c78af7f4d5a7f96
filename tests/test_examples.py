"""Every file of examples/ runs: against the embedded model, or where that cannot answer, a scripted server."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest

import rawchat

from .server import Answer, Seen, Step, answer, completion, event, serving, streamed
from .test_images import PNG
from .tools.test_tools import calling

ROOT = pathlib.Path(rawchat.__file__).parent.parent
FILES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PICTURE = {"data": [{"b64_json": base64.b64encode(PNG).decode()}]}


def shown(name: str, url: str, typed: str = "", **environ: str) -> str:
    """What an example prints, told where to ask and what to read."""
    command = [sys.executable, "-X", "utf8", str(ROOT / "examples" / f"{name}.py")]
    ran = subprocess.run(
        command,
        input=typed,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
        env={
            **environ,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "OPENAI_BASE_URL": url,
        },
    )
    assert (ran.returncode, "Traceback" in ran.stderr) == (0, False), ran.stderr
    return ran.stdout + ran.stderr


def scripted(name: str, *script: Answer, typed: str = "", **environ: str) -> tuple[str, list[Seen]]:
    """What an example prints, and what it asks a scripted server."""
    with serving(*script) as server:
        return shown(name, server.url, typed, **environ), server.requests


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [
        ("memoryless", "Say hi\nSay bye\n", ""),
        ("memory", "My name is Ann.\nWho am I?\n", ""),
        ("streamed_memory", "Say hi\nAgain\n", ""),
        ("pirate", "", "assistant says: "),
        ("tokens", "", " tokens, $0.000"),
        ("window", "", "9 messages are kept, 5 are in the window"),
        ("calendar_event", "", "CalendarEvent(name="),
        ("completions", "", "Once upon a time"),
        ("together", "", "Bob hears: "),
    ],
)
def test_with_the_embedded_model(
    local_url: str, tmp_path: pathlib.Path, name: str, typed: str, told: str
) -> None:
    text = shown(name, local_url, typed)
    assert told in text
    assert len(text.strip()) > len(told)
    if name == "memory":
        assert [message["role"] for message in rawchat.History.load(tmp_path / "talk.jsonl")] == [
            "system",
            "user",
            "assistant",
            "user",
            "assistant",
        ]


def test_a_memory_goes_on_where_it_ended(tmp_path: pathlib.Path) -> None:
    scripted("memory", answer(completion("Hello Ann")), typed="I am Ann.\n")
    _, seen = scripted("memory", answer(completion("Ann")), typed="Who am I?\n")
    assert [message["content"] for message in seen[0].json["messages"]] == [
        "You are a helpful assistant.",
        "I am Ann.\n",
        "Hello Ann",
        "Who am I?\n",
    ]


def test_maths_steps() -> None:
    solution = {
        "steps": [{"explanation": "Take 7", "output": "8x = -30"}],
        "final_answer": "x = -3.75",
    }
    text, _ = scripted("maths_steps", answer(completion(json.dumps(solution))))
    assert text == "1. Take 7  8x = -30\nAnswer: x = -3.75\n"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('{"fit": false, "category": "spam"}', "unfit: spam"),
        ('{"fit": true, "category": null}', "fit"),
        ("I think it is spam.", "no verdict: "),
    ],
)
def test_content_review(said: str, told: str) -> None:
    assert scripted("content_review", answer(completion(said)))[0].startswith(told)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            '{"name": "Ann Lee", "email": "ann@example.org", "wish": "a call"}',
            "Ann Lee <ann@example.org> wants: a call",
        ),
        ('{"name": "Ann Lee"}', "not what was asked for"),
    ],
)
def test_email_in_json_mode(said: str, told: str) -> None:
    text, seen = scripted("email_json", answer(completion(said)))
    assert text.startswith(told)
    assert seen[0].json["response_format"] == {"type": "json_object"}


def test_cluster_state_by_tool_call() -> None:
    call = calling(("cluster_state", '{"zone": "b"}'))
    text, seen = scripted("cluster_state", call, answer(completion("b1 is down.")))
    assert text == "(looking at zone b)\nb1 is down.\n"
    assert "disk full" in seen[1].json["messages"][-1]["content"]


def test_image(tmp_path: pathlib.Path) -> None:
    text, seen = scripted("image", answer(PICTURE), answer(completion("A lighthouse.")))
    assert text == "saved lighthouse.png\nA lighthouse.\n"
    assert (tmp_path / "lighthouse.png").read_bytes() == PNG
    assert (
        seen[1]
        .json["messages"][0]["content"][1]["image_url"]["url"]
        .startswith("data:image/png;base64,")
    )


def test_moderation() -> None:
    def verdict(**categories: bool) -> bytes:
        return answer(
            {"results": [{"flagged": any(categories.values()), "categories": categories}]}
        )

    fine, bad = verdict(violence=False), verdict(violence=True)
    hello, boo = answer(completion("Hello")), answer(completion("Boo"))
    text, seen = scripted(
        "moderation", fine, hello, fine, bad, fine, boo, bad, typed="Hi\nHarm\nScare me\n"
    )
    assert text == "Hello\n(not shown: violence)\n(not shown: violence)\n3 messages kept\n"
    assert [request.target for request in seen].count("/v1/chat/completions") == 2


def test_a_search_by_meaning_with_real_embeddings(local_url: str) -> None:
    """The example shows the same lines; the last digit may be another on another machine."""
    text = shown("search", local_url)
    found = [line[: -len(" (0.00)")] for line in text.splitlines()]
    assert found == [
        "money and the economy: Interest rates rose again, and the banks are worried.",
        "how do I bake a cake?: Add two eggs, flour and a pinch of salt, then stir.",
        "travel by rail to Italy: The train to Rome leaves at nine from platform four.",
    ]
    example = (ROOT / "examples" / "search.py").read_text(encoding="utf-8")
    for line in found:
        assert f"\n    {line} (0." in example


def test_responses() -> None:
    def said(id: str, text: str) -> list[Step]:
        events = []
        for fields in (
            {"type": "response.output_text.delta", "delta": text},
            {"type": "response.completed", "response": {"id": id, "output": []}},
        ):
            events.append(event(fields))
        return streamed(events)

    text, seen = scripted("responses", said("resp_1", "Hello Ann"), said("resp_2", "Ann"))
    assert text == "Hello Ann\nAnn\n"
    assert [request.target for request in seen] == ["/v1/responses"] * 2
    assert [request.json.get("previous_response_id") for request in seen] == [None, "resp_1"]


def test_retry() -> None:
    busy = answer({"error": {"message": "busy"}}, 429, {"retry-after-ms": "1"})
    text, seen = scripted("retry", busy, busy, answer(completion("Hi")))
    assert "Hi (after 2 retries)" in text
    assert "rawchat: retry 1 of 4 in 0.001 s: 429: busy" in text
    assert len(seen) == 3


def test_several_keys() -> None:
    text, seen = scripted(
        "several_keys",
        answer({"error": "no"}, 401),
        answer(completion("Hi")),
        OPENAI_API_KEYS="key-number-1,key-number-2",
    )
    assert text == "Hi (after 1 retries)\n"
    assert [request.headers["authorization"] for request in seen] == [
        "Bearer key-number-1",
        "Bearer key-number-2",
    ]


def test_many_machines() -> None:
    """A real cluster of Dask on this machine, of two processes; docs/bulk.md shows the same lines."""
    pytest.importorskip("dask.bag")
    pytest.importorskip("distributed")
    text, seen = scripted("many_machines", answer(completion("Hi")), HOME=os.getcwd())
    assert text == "40 rows, 40 answered\n"
    assert sorted(request.json["messages"][0]["content"] for request in seen) == sorted(
        f"What is {number} squared?" for number in range(40)
    )


def test_the_page_shows_the_example_that_is_run() -> None:
    example = (ROOT / "examples" / "many_machines.py").read_text(encoding="utf-8")
    assert f"```python\n{example}```" in (ROOT / "docs" / "bulk.md").read_text(encoding="utf-8")


def test_every_example_is_run_by_a_test_above() -> None:
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FILES if f'"{name}"' not in source] == []
    assert len(FILES) >= 16
