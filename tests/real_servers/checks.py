"""What is tried with each real server.  A check returns nothing if all is well, or raises what is wrong."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, Callable

import pytest

import rawchat
from rawchat import History, tools

from ..command import PLAIN


class NotOfferedError(Exception):
    """The server, or its model, does not do this; rawchat has nothing to do with it."""


QUESTION = "In one short sentence: what is the capital of France?"
WEATHER_QUESTION = "What is the weather in Paris?"
BRIEF: dict[str, Any] = {"temperature": 0, "max_tokens": 40}

#: More words than fit into the context of any of the servers.
TOO_LONG = "word " * 12_000


def get_weather(city: str) -> str:
    """Return the weather of a city."""
    return f"sunny in {city}"


@dataclass
class Person:
    """A person."""

    name: str
    age: int


def check_models(client: rawchat.Client) -> None:
    assert [model["id"] for model in client.models()["data"]]


def check_chat(client: rawchat.Client) -> None:
    reply = client.chat(QUESTION, **BRIEF)
    assert reply.text.strip(), f"no text: {reply}"
    assert reply.finish_reason in ("stop", "length")


def check_stream(client: rawchat.Client) -> None:
    """A stream says the same as a plain call."""
    with client.stream_chat(QUESTION, **BRIEF) as stream:
        texts = list(stream.texts())
    assert len(texts) > 1, f"{len(texts)} pieces"
    assert "".join(texts) == stream.reply.text
    assert stream.reply.finish_reason in ("stop", "length")


#: How to force the call of a function: by its name, and where a server ignores that (llama.cpp), by a word.
CHOICES: list[Any] = [{"type": "function", "function": {"name": "get_weather"}}, "required"]


def forced_call(client: rawchat.Client, streamed: bool) -> rawchat.Reply:
    """Return the answer to a question for which the model has to call `get_weather`."""
    for choice in CHOICES:
        params: dict[str, Any] = {"tools": [tools.spec(get_weather)], "tool_choice": choice}
        params.update(temperature=0, max_tokens=48)
        if streamed:
            reply = client.stream_chat(WEATHER_QUESTION, **params).reply
        else:
            reply = client.chat(WEATHER_QUESTION, **params)
        if reply.tool_calls:
            check_call(reply.tool_calls[0])
            return reply
    raise NotOfferedError("the model is not forced to call a function")


def check_call(call: dict[str, Any]) -> None:
    """Check that a call has the form of OpenAI's."""
    assert call["function"]["name"] == "get_weather"
    assert isinstance(call["id"], str)
    assert isinstance(json.loads(call["function"]["arguments"]), dict)


def check_tools(client: rawchat.Client) -> None:
    forced_call(client, streamed=False)


def check_tools_stream(client: rawchat.Client) -> None:
    forced_call(client, streamed=True)


def check_round_trip(client: rawchat.Client) -> None:
    """The call and the result of the function go back, and the model answers."""
    reply = forced_call(client, streamed=False)
    messages = [{"role": "user", "content": WEATHER_QUESTION}, reply.message]
    for call in reply.tool_calls:
        result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
        messages.append(result)
    answer = client.chat(messages, tools=[tools.spec(get_weather)], **BRIEF)
    assert answer.text or answer.tool_calls, f"no answer: {answer}"


def check_typed_answer(client: rawchat.Client) -> None:
    person = client.parse(
        "Ann is 7 years old. Who is it?", into=Person, temperature=0, max_tokens=200
    )
    assert isinstance(person, Person)
    assert isinstance(person.age, int)


def check_usage(client: rawchat.Client) -> None:
    usage = rawchat.Usage.of(client.chat(QUESTION, **BRIEF))
    assert usage.prompt > 5
    assert usage.completion > 1


def check_usage_stream(client: rawchat.Client) -> None:
    stream = client.stream_chat(QUESTION, stream_options={"include_usage": True}, **BRIEF)
    usage = rawchat.Usage.of(stream.reply)
    if not usage.total:
        raise NotOfferedError("no usage in a stream")
    assert usage.prompt > 5
    assert usage.completion > 1


def check_error(client: rawchat.Client) -> None:
    """A request that no server takes is an error with the server's words in one line."""
    for call in (client.chat, client.stream_chat):
        with pytest.raises(rawchat.APIStatusError) as caught:
            call("Hi", temperature="hot")
        assert caught.value.body
        assert "\n" not in str(caught.value)


def check_overflow(client: rawchat.Client) -> None:
    """A prompt that is longer than the context is an error of its own."""
    try:
        client.chat(TOO_LONG, max_tokens=5)
    except rawchat.ContextLengthExceededError:
        return
    raise NotOfferedError("a prompt of any length is taken")


def check_overflow_stream(client: rawchat.Client) -> None:
    try:
        text = "".join(client.stream_chat(TOO_LONG, max_tokens=5).texts())
    except rawchat.ContextLengthExceededError:
        return
    except rawchat.StreamInterruptedError as error:
        if error.partial.choices:
            raise
        raise NotOfferedError("an empty stream") from None
    if not text:
        raise NotOfferedError("an empty answer")
    raise NotOfferedError("a prompt of any length is taken")


def check_recovery(client: rawchat.Client) -> None:
    """A conversation that has grown too long goes on with its last turns, after a few requests."""
    history = History(client)
    for number in range(300):
        history.append({"role": "user", "content": f"Remember: {'word ' * 30}{number}"})
        history.append({"role": "assistant", "content": "I will."})
    assert history.ask("Say hi.", max_tokens=5) is not None


def check_command_line(client: rawchat.Client) -> None:
    """One question at a shell: an answer, exit code 0, nothing on standard error; and an error: 4 or 5, and one line."""
    config = client.config
    env = {**os.environ, **PLAIN, "OPENAI_API_KEY": next(iter(config.keys()), "none")}
    argv = [
        sys.executable,
        "-m",
        "rawchat",
        "--base-url",
        config.base_url,
        "--model",
        str(config.model),
    ]
    argv += ["--no-stdin", "--max-tokens", "20"]
    asked = subprocess.run([*argv, QUESTION], env=env, capture_output=True, text=True)
    assert (asked.returncode, bool(asked.stdout.strip())) == (0, True), asked.stderr
    argv += ["-o", "seed", "hot", "--retries", "0"]
    failed = subprocess.run([*argv, QUESTION], env=env, capture_output=True, text=True)
    assert failed.returncode in (4, 5), f"exit code {failed.returncode}"
    assert failed.stderr.count("\n") == 1, failed.stderr


#: The checks by the names that the page shows.
CHECKS: dict[str, Callable[[rawchat.Client], None]] = {
    "models": check_models,
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "tools, streamed": check_tools_stream,
    "tool round trip": check_round_trip,
    "typed answers": check_typed_answer,
    "usage": check_usage,
    "usage, streamed": check_usage_stream,
    "errors": check_error,
    "overflow": check_overflow,
    "overflow, streamed": check_overflow_stream,
    "overflow recovery": check_recovery,
    "command line": check_command_line,
}
