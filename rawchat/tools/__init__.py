"""The tool loop: the model calls functions, is told what they return, and goes on until it answers in words.

def temperature(city: str, unit: Literal["C", "F"] = "C") -> float:
    '''The temperature in a city right now.

    city: its name in English
    '''

reply = tools.run("How warm is it in Paris?", tools=[temperature])
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, Union

from .. import endpoints
from ..client import Client, default_client
from ..endpoints import Messages
from ..errors import APIResponseValidationError, ToolRoundsError
from ..history import window
from ..reply import Reply
from ..schema import schema
from ..schema.fields import fields
from .calls import Function, Tool, run_calls


def run(
    messages: Messages,
    tools: Iterable[Union[Function, Mapping[str, Any]]],
    client: Optional[Client] = None,
    max_rounds: int = 10,
    functions: Optional[Mapping[str, Function]] = None,
    parallel: bool = False,
    on_text: Optional[Callable[[str], Any]] = None,
    **params: Any,
) -> Reply:
    """Ask until the reply calls no tool, at most `max_rounds` times; gives that reply.

    messages    a text, or messages; a list, such as a History, grows by all that is said, if it ends well
    tools       functions, or ready-made tool dicts whose names are in `functions`
    parallel    run the calls of one reply in threads; the results keep their order
    on_text     called with every piece of text as it comes: the replies are streamed

    What goes wrong with a call (bad arguments, an unknown name, an exception) is told to the model, and logged.
    Raises ToolRoundsError, whose `.messages` can be gone on from, and what `Client.chat` raises.
    """
    said: list[Any] = messages if isinstance(messages, list) else endpoints.as_messages(messages)
    client = client or getattr(said, "client", None) or default_client()
    ready = [as_tool(each, functions or {}) for each in tools]
    known = {tool.spec["function"]["name"]: tool for tool in ready}
    if len(known) < len(ready):
        raise TypeError("two tools have the same name")
    params = {**params, **({"tools": [tool.spec for tool in ready]} if ready else {})}
    with window.transaction(said):
        for _ in range(max_rounds):
            reply = next_reply(said, lambda sent: ask(client, sent, on_text, params))
            if not reply.tool_calls:
                if reply.finish_reason == "tool_calls" and not reply.text:
                    raise APIResponseValidationError(
                        "the reply is said to call tools, but no call in it can be read"
                    )
                return reply
            said.extend(run_calls(reply.tool_calls, known, parallel))
        failure = ToolRoundsError(
            f"the model still calls tools after {max_rounds} rounds; max_rounds= allows more"
        )
        failure.messages = list(said)
        raise failure


def spec(function: Function) -> dict[str, Any]:
    """The tool dict of a function: its name, the first paragraph of its docstring, its parameters."""
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    return {
        "type": "function",
        "function": {
            "name": function.__name__,
            **({"description": text} if text else {}),
            "parameters": schema(function),
            "strict": True,
        },
    }


def as_tool(given: Any, functions: Mapping[str, Function]) -> Tool:
    if not isinstance(given, Mapping):
        return Tool(spec(given), given, fields(given))
    name = given["function"]["name"]
    if name not in functions:
        raise TypeError(f"functions= has no {name!r}, which a tool is called")
    return Tool(given, functions[name])


def next_reply(said: Any, say: Callable[[Any], Reply]) -> Reply:
    """The next reply, its message added; a History does that itself, and sends its window."""
    if hasattr(said, "hear"):
        heard: Reply = said.hear(say)
        return heard
    reply = say(said)
    said.append(window.to_store(reply.message))
    return reply


def ask(
    client: Client, sent: Any, on_text: Optional[Callable[[str], Any]], params: Mapping[str, Any]
) -> Reply:
    if on_text is None:
        return client.chat(sent, **params)
    with client.stream_chat(
        sent, **{"stream_options": {"include_usage": True}, **params}
    ) as stream:
        for piece in stream.texts():
            on_text(piece)
    return stream.reply
