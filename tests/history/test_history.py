"""Conversations: what is sent, what stays, what a failure leaves, and what lies on the disk."""

import json
import os
import pathlib
import pickle
import signal
import stat
import subprocess
import sys
import time
from typing import Any

import pytest

import rawchat
from rawchat import History
from rawchat.history import window
from rawchat.usage import Usage

from ..server import CLOSE, HELLO, Server, answer, completion, event, serving, streamed

row = pytest.mark.row
ROOT = pathlib.Path(rawchat.__file__).parent.parent
TOO_LONG = answer({"error": {"code": "context_length_exceeded", "message": "too long"}}, 400)
REPLY = answer(completion("Hello", usage={"prompt_tokens": 20, "completion_tokens": 5}))


def client(server: Server, **settings: Any) -> rawchat.Client:
    return rawchat.Client(base_url=server.url, environ={}, max_retries=0, **settings)


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def contents(messages: list[dict[str, Any]]) -> list[Any]:
    return [message["content"] for message in messages]


def talk(turns: int, **settings: Any) -> History:
    """A history of so many turns: q1 a1 q2 a2 …"""
    history = History(**settings)
    for number in range(1, turns + 1):
        history += [said("user", f"q{number}"), said("assistant", f"a{number}")]
    return history


def answered(history: History, ask: str, question: str) -> str:
    """The answer, by `ask` or by `stream`."""
    return "".join(history.stream(question)) if ask == "stream" else history.ask(question).text


class Words:
    """A tokenizer of which each word is a token; the frame of a message is beside it."""

    def encode(self, text: str) -> list[str]:
        return text.split()


# asking


def test_a_turn_is_sent_with_what_came_before_and_added() -> None:
    with serving(REPLY) as server:
        history = History(client(server), system="Be kind.")
        assert history.ask("Hi").text == "Hello"
        history.ask([{"type": "text", "text": "Again"}], temperature=0)
    assert server.requests[1].json["messages"] == [
        said("system", "Be kind."),
        said("user", "Hi"),
        said("assistant", "Hello"),
        said("user", [{"type": "text", "text": "Again"}]),
    ]
    assert server.requests[1].json["temperature"] == 0
    assert contents(history) == [
        "Be kind.",
        "Hi",
        "Hello",
        [{"type": "text", "text": "Again"}],
        "Hello",
    ]
    assert history.usage == Usage(40, 10, calls=2)


def test_a_streamed_turn_leaves_the_same() -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 20, "completion_tokens": 5}})
    with serving(REPLY, streamed([*HELLO[:-1], usage, HELLO[-1]])) as server:
        plain, watched = (History(client(server), system="Be kind.") for _ in range(2))
        plain.ask("Hi")
        assert list(watched.stream("Hi")) == ["Hel", "lo"]
    assert plain == watched
    assert plain.usage == watched.usage
    assert plain.sizes == watched.sizes != {}
    assert server.requests[1].json["stream_options"] == {"include_usage": True}


def test_nobody_has_to_make_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    history = History()
    with pytest.raises(rawchat.MissingKeyError):
        history.ask("Hi")
    assert history == []
    with serving(REPLY) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setattr("rawchat.client.default._client", None)
        assert history.ask("Hi").text == "Hello"


@row("11.2")
def test_stubs_in_an_answer_are_not_sent_back() -> None:
    message = {
        "role": "assistant",
        "content": None,
        "refusal": None,
        "annotations": [],
        "audio": None,
        "function_call": {"name": "", "arguments": ""},
        "tool_calls": [{"id": "1"}],
        "name": None,
    }
    with serving(answer({"choices": [{"index": 0, "message": message}]})) as server:
        history = History(client(server))
        history.ask("Hi")
    assert history[-1] == {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]}


@row("11.5")
@pytest.mark.parametrize(
    "fields",
    [
        {"reasoning_content": ""},
        {"reasoning_content": None},
        {"reasoning": "Well.", "reasoning_details": [{"type": "reasoning.text", "text": "Well."}]},
        {"reasoning_details": []},
        {"thinking_blocks": []},
        {"thought_signature": ""},
        {"function_call": {"name": "f", "arguments": ""}},
        {"refusal": "No."},
    ],
)
def test_what_is_sent_back_is_what_was_received(fields: dict[str, Any]) -> None:
    message = {"role": "assistant", "content": None, **fields}
    with serving(answer({"choices": [{"index": 0, "message": message}]}), REPLY) as server:
        history = History(client(server))
        history.ask("Hi")
        history.ask("And?")
    assert server.requests[1].json["messages"][1] == message


# what a failure leaves


@pytest.mark.parametrize(
    "failure",
    [
        answer({"error": "no"}, 500),
        answer(b"<html>"),
        answer({"choices": []}),
        answer({"choices": [{"text": "a"}]}),
        [CLOSE],
        streamed([*HELLO[:2], event({"error": "no"})]),
        streamed(HELLO[:2], end=True),
        [*streamed(HELLO[:2], framing="length", end=False), CLOSE],
    ],
)
@pytest.mark.parametrize("ask", ["ask", "stream"])
def test_a_failure_leaves_all_as_it_was(failure: Any, ask: str) -> None:
    with serving(REPLY, failure) as server:
        history = History(client(server), system="Be kind.")
        history.ask("Hi")
        before = list(history)
        with pytest.raises(rawchat.APIError):
            answered(history, ask, "More")
        assert history == before


def test_a_stream_that_is_left_leaves_all_as_it_was() -> None:
    with serving(streamed(HELLO[:2], end=False)) as server:
        history = talk(1, client=client(server))
        before = list(history)
        pieces = history.stream("More")
        assert history == before  # nothing has been asked yet
        assert next(pieces) == "Hel"
        pieces.close()
        assert history == before
        for _ in history.stream("More"):
            break
        assert history == before


def test_ctrl_c_in_a_stream_leaves_all_as_it_was() -> None:
    with serving(streamed()) as server:
        history = talk(1, client=client(server))
        before = list(history)
        with pytest.raises(KeyboardInterrupt):
            any(signal.raise_signal(signal.SIGINT) for _ in history.stream("More"))
        assert history == before


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_turn_rolls_back_whatever_ends_it(failure: type[BaseException]) -> None:
    history = talk(2)
    before = list(history)
    with pytest.raises(failure), history.turn():  # noqa: PT012
        del history[0]
        history.append(said("user", "x"))
        raise failure
    assert history == before
    with history.turn() as same:
        same.append(said("user", "x"))
    assert history == [*before, said("user", "x")]


# the window


def test_the_window_is_the_newest_whole_turns_and_the_system_messages() -> None:
    history = talk(3, system="s", max_messages=4)
    assert contents(history.window()) == ["s", "q3", "a3"]
    history.max_messages = 5
    assert contents(history.window()) == ["s", "q2", "a2", "q3", "a3"]
    assert len(history) == 7
    history.max_messages = None
    assert history.window() == history


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_the_last_turn_is_sent_in_any_case(limit: int) -> None:
    assert contents(talk(3, system="s", max_messages=limit).window()) == ["s", "q3", "a3"]
    assert contents(talk(3, system="s", max_tokens=limit).window()) == ["s", "q3", "a3"]


def test_a_system_message_in_the_middle_stays_in_its_place() -> None:
    history = talk(1, max_messages=3)
    history += [said("developer", "d"), *talk(1)]
    assert contents(history.window()) == ["d", "q1", "a1"]
    assert [history[2] is message for message in history.window()] == [True, False, False]


def test_a_tool_call_and_its_results_are_never_torn_apart() -> None:
    calls = [
        said("user", "q"),
        said("assistant", None, tool_calls=[{"id": "1"}, {"id": "2"}]),
        said("tool", "r1", tool_call_id="1"),
        said("tool", "r2", tool_call_id="2"),
        said("assistant", "a"),
    ]
    for limit in range(12):
        history = talk(1, max_messages=limit)
        history += [*calls, *calls, *talk(1)]
        roles = [message["role"] for message in history.window()]
        assert roles[0] == "user"
        assert roles.count("tool") == 2 * sum(
            "tool_calls" in message for message in history.window()
        )


def test_a_greeting_before_the_first_question_is_a_turn_of_its_own() -> None:
    history = History(system="s", max_messages=3)
    history += [said("assistant", "Welcome"), *talk(1)]
    assert contents(history.window()) == ["s", "q1", "a1"]
    history.max_messages = 4
    assert contents(history.window()) == ["s", "Welcome", "q1", "a1"]


def test_max_tokens_counts_all_that_is_sent() -> None:
    frame = rawchat.history.tokens.MESSAGE_OVERHEAD
    history = talk(3, system="s", max_tokens=5 * (1 + frame), encoding=Words())
    assert contents(history.window()) == ["s", "q2", "a2", "q3", "a3"]
    history.max_tokens = 5 * (1 + frame) - 1
    assert contents(history.window()) == ["s", "q3", "a3"]


def test_the_window_is_what_is_sent_and_the_record_stays_whole() -> None:
    with serving(REPLY) as server:
        history = talk(3, system="s", max_messages=4, client=client(server))
        history.ask("q4")
    assert contents(server.requests[0].json["messages"]) == ["s", "q3", "a3", "q4"]
    assert len(history) == 9


def test_sizes_are_learned_from_the_difference_of_two_replies() -> None:
    def counted(tokens: int) -> bytes:
        return answer(completion("Fine", usage={"prompt_tokens": tokens}))

    with serving(counted(100), counted(160), counted(200)) as server:
        history = History(client(server), system="s")
        history.ask("one")
        assert sum(map(history.sizes, history[:2])) == pytest.approx(100)
        history.ask("two")
        assert sum(map(history.sizes, history[2:4])) == pytest.approx(60)
        assert history.sizes(history[4]) == history.sizes(
            history[2]
        )  # the same words, the same size
        history.ask("three")
        assert history.sizes(history[5]) == pytest.approx(200 - 160 - history.sizes(history[2]))
        history.max_tokens = (
            round(sum(map(history.sizes, history)) - sum(map(history.sizes, history[1:3]))) + 1
        )
        assert history.window() == [history[0], *history[3:]]


def test_a_server_that_does_not_count_or_counts_less_does_no_harm() -> None:
    sizes = window.TokenCounts()
    sizes.learn(0, [said("user", "a")])
    assert sizes == {}
    sizes.learn(10, [said("user", "a")])
    sizes.learn(5, [said("user", "a"), said("user", "b")])
    assert sizes(said("user", "b")) == 1


def test_sizes_of_pictures_take_no_memory() -> None:
    sizes = window.TokenCounts()
    sizes.learn(900, [said("user", "data:" + "A" * 1_000_000)])
    assert sum(map(len, sizes)) < 100


# too long for the model


@pytest.mark.parametrize("ask", ["ask", "stream"])
def test_a_window_that_is_too_long_loses_the_older_half_of_its_turns_until_it_fits(
    ask: str,
) -> None:
    with serving(TOO_LONG, TOO_LONG, streamed() if ask == "stream" else REPLY) as server:
        history = talk(3, system="s", client=client(server))
        assert answered(history, ask, "q4") == "Hello"
    assert [contents(request.json["messages"]) for request in server.requests] == [
        ["s", "q1", "a1", "q2", "a2", "q3", "a3", "q4"],
        ["s", "q3", "a3", "q4"],
        ["s", "q4"],
    ]
    assert contents(history) == ["s", "q1", "a1", "q2", "a2", "q3", "a3", "q4", "Hello"]


@row("11.9")
@pytest.mark.parametrize("ask", ["ask", "stream"])
def test_of_300_turns_six_requests_find_the_10_that_fit(ask: str) -> None:
    with serving(*[TOO_LONG] * 5, streamed() if ask == "stream" else REPLY) as server:
        history = talk(299, system="s", client=client(server))
        assert answered(history, ask, "q300") == "Hello"
    sent = [contents(request.json["messages"]) for request in server.requests]
    questions = [sum(content.startswith("q") for content in each) for each in sent]
    assert questions == [300, 150, 75, 38, 19, 10]
    assert (sent[-1][:2], sent[-1][-1]) == (["s", "q291"], "q300")
    assert len(history) == 601


def test_a_question_that_is_too_long_by_itself_is_an_error() -> None:
    with serving(TOO_LONG) as server:
        history = talk(2, system="s", client=client(server))
        before = list(history)
        with pytest.raises(rawchat.ContextLengthExceededError):
            history.ask("q3")
        assert history == before
    assert contents(server.requests[-1].json["messages"]) == ["s", "q3"]
    assert len(server.requests) == 3


# summary, fork, clear, show


def test_a_summary_replaces_the_oldest_turns() -> None:
    first = answer(completion("They counted.", usage={"prompt_tokens": 9}))
    with serving(first, answer(completion("More."))) as server:
        history = talk(3, system="s", client=client(server))
        reply = history.summarise(keep=1, model="cheap")
        assert reply is not None
        assert contents(history) == [
            "s",
            "Summary of the conversation so far: They counted.",
            "q3",
            "a3",
        ]
        assert history[1]["role"] == "system"
        assert history.usage.prompt == 9
        assert server.requests[0].json["model"] == "cheap"
        assert contents(server.requests[0].json["messages"])[:-1] == ["q1", "a1", "q2", "a2"]
        history += talk(1)
        history.summarise(keep=0)  # an earlier summary goes into the next one
    assert contents(server.requests[1].json["messages"])[:-1] == [
        "Summary of the conversation so far: They counted.",
        "q3",
        "a3",
        "q1",
        "a1",
    ]
    assert contents(history) == ["s", "Summary of the conversation so far: More."]


def test_nothing_to_summarise_asks_nobody() -> None:
    assert talk(2).summarise(keep=2) is None


@pytest.mark.parametrize(
    "failure", [answer({"error": "no"}, 500), TOO_LONG, answer(completion("  "))]
)
def test_a_summary_that_fails_keeps_all(failure: bytes) -> None:
    with serving(failure) as server:
        history = talk(3, system="s", client=client(server))
        before = list(history)
        with pytest.raises(rawchat.APIError):
            history.summarise()
        assert history == before


def test_a_fork_goes_its_own_way() -> None:
    history = talk(1, system="s", max_messages=7)
    history.usage = Usage(1, 1)
    twin = history.fork()
    assert (type(twin), list(twin), twin.max_messages) == (History, list(history), 7)
    assert (twin.usage, history.usage) == (Usage(), Usage(1, 1))
    twin[1]["content"] = "changed"
    twin.append(said("user", "x"))
    twin.sizes.learn(9, twin)
    assert contents(history) == ["s", "q1", "a1"]
    assert history.sizes == {}


def test_clear_keeps_the_instructions_and_forgets_the_summary() -> None:
    history = talk(1, system="s")
    history.insert(1, said("system", "Summary of the conversation so far: x"))
    history.clear()
    assert history == [said("system", "s")]
    history.clear(keep_system=False)
    assert history == []


def test_the_instructions_can_be_read_and_replaced() -> None:
    history = History()
    assert history.system is None
    history += [said("system", "Summary of the conversation so far: x"), said("user", "q")]
    assert history.system is None  # a summary is no instruction, and stays
    history.system = "Be kind."
    assert contents(history) == ["Be kind.", "Summary of the conversation so far: x", "q"]
    history[0]["role"] = "developer"
    history.append(said("system", "And brief."))
    assert history.system == "Be kind."
    history.system = "Be a pirate."
    assert history[0] == said("system", "Be a pirate.")
    assert contents(history)[1:] == ["Summary of the conversation so far: x", "q"]
    history.system = None
    assert contents(history) == ["Summary of the conversation so far: x", "q"]


def test_show_is_readable_and_without_system_messages() -> None:
    history = talk(1, system="s")
    history += [
        said(
            "user",
            [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": "data:…"}},
            ],
        ),
        said("assistant", None, tool_calls=[{"function": {"name": "f", "arguments": "{}"}}]),
    ]
    history += [said("assistant", None, refusal="No.", tool_calls=None)]
    history += [said("assistant", [{"type": "refusal", "refusal": "Never."}])]
    assert history.show() == (
        "user: q1\n\nassistant: a1\n\nuser: Look [image_url]\n\nassistant: [f({})]\n\nassistant: No."
        "\n\nassistant: Never."
    )


def test_a_history_travels() -> None:
    history = talk(
        1, system="s", client=rawchat.Client(api_key="sk-1234567890", environ={}), max_tokens=9
    )
    twin = pickle.loads(pickle.dumps(history))
    assert (list(twin), twin.max_tokens) == (list(history), 9)


# on the disk


@row("9.3")
def test_what_is_saved_is_loaded_and_belongs_to_its_owner_only(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "talk.jsonl"
    path.touch(0o644)
    history = talk(2, system="你好 \u2028 \x85 \n 🙂")
    old = os.umask(0)
    try:
        history.save(path)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = History.load(path, max_messages=3)
    assert (type(loaded), list(loaded), loaded.max_messages) == (History, list(history), 3)
    assert [json.loads(line) for line in path.read_text("utf-8").split("\n")[:-1]] == history
    assert os.listdir(tmp_path) == ["talk.jsonl"]


@row("9.3")
def test_a_symbolic_link_is_replaced_and_never_written_through(tmp_path: pathlib.Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("mine")
    link.symlink_to(target)
    talk(1).save(link)
    assert (target.read_text(), link.is_symlink()) == ("mine", False)
    assert History.load(link) == talk(1)


@row("9.3")
def test_the_file_is_for_its_owner_only_before_the_first_byte(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def fsync(handle: int) -> None:
        seen.append((stat.S_IMODE(os.fstat(handle).st_mode), os.fstat(handle).st_size > 0))

    made = os.open

    def opened(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if str(path).endswith(".tmp"):
            assert mode == 0o600
            assert flags & os.O_EXCL
            seen.append("made")
        return made(path, flags, mode, **more)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "open", opened)
    talk(1).save(tmp_path / "talk")
    assert seen == ["made", (0o600, True)]


def test_a_save_that_fails_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "talk"
    talk(1).save(path)
    broken = talk(1)
    broken.append(said("user", "\ud800"))
    with pytest.raises(ValueError, match=r"content: lone surrogate U\+D800"):
        broken.save(path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        talk(2).save(path)
    assert History.load(path) == talk(1)
    assert os.listdir(tmp_path) == ["talk"]


SAVES = """
import sys
from rawchat import History
small, large = History(), History()
small += [{"role": "user", "content": "small " * 50}] * 2000
large += [{"role": "user", "content": "large " * 50}] * 3000
while True:
    large.save(sys.argv[1])
    small.save(sys.argv[1])
"""


@row("9.3")
@pytest.mark.parametrize("saves", range(1, 9))
def test_a_kill_in_the_middle_of_save_leaves_the_old_file_or_the_new_one(
    tmp_path: pathlib.Path, saves: int
) -> None:
    path = tmp_path / "talk"
    talk(1).save(path)
    seen: set[str] = set()
    give_up = time.monotonic() + 20
    with subprocess.Popen([sys.executable, "-c", SAVES, str(path)], cwd=ROOT) as child:
        while len(seen) < saves and time.monotonic() < give_up:
            seen |= {name for name in os.listdir(tmp_path) if name.endswith(".tmp")}
        child.kill()  # while the last one that was seen is written
    assert len(seen) >= saves
    assert len(History.load(path)) in (2, 2000, 3000)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            b'{"role":"user","content":"a"}\n{"role":"assi',
            "line 2: not a message .*; the file is torn",
        ),
        (b'{"role":"user","content":"a"}', "line 1: .*torn"),
        (b"Dear diary\n", "line 1: not a message"),
        (b"[]\n", "line 1"),
        (b'{"role":"user","content":"a"}\n\n', "line 2"),
        (b"\x89PNG\r\n", "line 1"),
        (b'{"content":"a"}\n', "line 1"),
        (b'{"role":1}\n', "line 1"),
        (b'{"role":"user","content":"\xff"}\n', "line 1"),
        (b"[" * 100_000 + b"\n", "line 1"),
    ],
)
def test_a_torn_or_foreign_file_is_named_with_its_line(
    tmp_path: pathlib.Path, data: bytes, told: str
) -> None:
    path = tmp_path / "talk"
    path.write_bytes(data)
    with pytest.raises(rawchat.RawchatError, match=f"talk, {told}"):
        History.load(path)


def test_an_empty_history_is_an_empty_file(tmp_path: pathlib.Path) -> None:
    History().save(tmp_path / "talk")
    assert History.load(str(tmp_path / "talk")) == []
    with pytest.raises(FileNotFoundError):
        History.load(tmp_path / "nothing")


# the real model


@pytest.fixture
def model(local_url: str) -> rawchat.Client:
    return rawchat.Client(base_url=local_url, environ={}, seed=1)


def test_ten_turns_never_fail(model: rawchat.Client) -> None:
    # Small turns and a small window, so that it slides in half of the turns and the test takes seconds.
    history = History(model, system="You are a helpful guide.", max_tokens=200)
    for number in range(10):
        reply = history.ask(
            f"Question {number}. " + "Tell me something new about the old town. " * 2, max_tokens=4
        )
        assert reply.text
        assert reply.usage
        assert reply.usage["prompt_tokens"] <= 220, "10 % over is what estimates may cost"
    assert (len(history), history.usage.calls) == (21, 10)
    assert len(history.window()) < 15


def test_a_conversation_that_is_too_long_recovers(model: rawchat.Client) -> None:
    history = talk(0, client=model)
    for number in range(3):
        text = f"Story {number}? " + "Once upon a time there was a king. " * (
            260 if number == 0 else 10
        )
        history += [said("user", text), said("assistant", "So.")]
    with pytest.raises(rawchat.ContextLengthExceededError):
        model.chat(history)
    assert history.ask("Say hi", max_tokens=5).text
    assert "".join(history.stream("Say hi again", max_tokens=5))
    assert len(history) == 10


def test_streamed_and_plain_turns_leave_equal_histories(model: rawchat.Client) -> None:
    plain, watched = (History(model, system="You are a pirate.") for _ in range(2))
    for question in ("Who are you?", "Where is the treasure?", "And the map?"):
        reply = plain.ask(question, temperature=0, max_tokens=16)
        assert "".join(watched.stream(question, temperature=0, max_tokens=16)) == reply.text != ""
    assert plain == watched
    assert plain.sizes == watched.sizes
    assert plain.usage.prompt == watched.usage.prompt > 0


def test_the_model_summarises(model: rawchat.Client) -> None:
    history = talk(0, system="s", client=model)
    history += [
        said("user", "My name is Ann and my cat is called Tom."),
        said("assistant", "Nice."),
        *talk(1),
    ]
    assert history.summarise(max_tokens=40, temperature=0)
    assert len(history) == 4
    assert history.ask("Hello", max_tokens=5).text
