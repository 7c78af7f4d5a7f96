"""The tool loop: the model calls functions, is told what they return, and goes on until it answers in words.

    def temperature(city: str, unit: Literal["C", "F"] = "C") -> float:
        '''The temperature in a city right now.

        city: its name in English
        '''

    reply = tools.run("How warm is it in Paris?", tools=[temperature])
"""
import dataclasses
import inspect
import json
import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, NamedTuple, Optional, Union

from . import endpoints, schema, typed, window
from .client import Client
from .default import default_client
from .endpoints import Messages
from .errors import ToolRoundsError
from .reply import Reply

log = logging.getLogger("rawchat")
Function = Callable[..., Any]


class Tool(NamedTuple):
    """What the model is told of a function, and the function."""

    spec: Mapping[str, Any]
    function: Function
    fields: Optional[list[schema.Field]] = None     #: None: ready-made, so its schema is not ours to check


def run(messages: Messages, tools: Iterable[Union[Function, Mapping[str, Any]]], client: Optional[Client] = None,
        max_rounds: int = 10, functions: Optional[Mapping[str, Function]] = None, parallel: bool = False,
        on_text: Optional[Callable[[str], Any]] = None, **params: Any) -> Reply:
    """Ask until the reply calls no tool, at most `max_rounds` times; gives that reply.

    messages    a text, or messages; a list, such as a History, grows by all that is said, if it ends well
    tools       functions, or ready-made tool dicts whose names are in `functions`
    parallel    run the calls of one reply in threads; the results keep their order
    on_text     called with every piece of text as it comes: the replies are streamed

    What goes wrong with a call (bad arguments, an unknown name, an exception) is told to the model, and logged.
    Raises ToolRoundsError, whose `.messages` can be gone on from, and what `Client.chat` raises.
    """
    said: list[Any] = messages if isinstance(messages, list) else endpoints.listed(messages)
    client = client or getattr(said, "client", None) or default_client()
    known = {tool.spec["function"]["name"]: tool for tool in (_tool(each, functions or {}) for each in tools)}
    params = {**params, **({"tools": [tool.spec for tool in known.values()]} if known else {})}
    with window.turn(said):
        for _ in range(max_rounds):
            reply = _heard(said, lambda sent: _reply(client, sent, on_text, params))
            if not reply.tool_calls:
                return reply
            said.extend(_results(reply.tool_calls, known, parallel))
        failure = ToolRoundsError(f"the model still calls tools after {max_rounds} rounds; max_rounds= allows more")
        failure.messages = list(said)
        raise failure


def spec(function: Function) -> dict[str, Any]:
    """The tool dict of a function: its name, the first paragraph of its docstring, its parameters."""
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    return {"type": "function", "function": {
        "name": function.__name__, **({"description": text} if text else {}),
        "parameters": schema.schema(function), "strict": True}}


def _tool(given: Any, functions: Mapping[str, Function]) -> Tool:
    if not isinstance(given, Mapping):
        return Tool(spec(given), given, schema.fields(given))
    name = given["function"]["name"]
    if name not in functions:
        raise TypeError(f"functions= has no {name!r}, which a tool is called")
    return Tool(given, functions[name])


def _heard(said: Any, say: Callable[[Any], Reply]) -> Reply:
    """The next reply, its message added; a History does that itself, and sends its window."""
    if hasattr(said, "hear"):
        heard: Reply = said.hear(say)
        return heard
    reply = say(said)
    said.append(reply.message)
    return reply


def _reply(client: Client, sent: Any, on_text: Optional[Callable[[str], Any]], params: Mapping[str, Any]) -> Reply:
    if on_text is None:
        return client.chat(sent, **params)
    with client.stream_chat(sent, **{"stream_options": {"include_usage": True}, **params}) as stream:
        for piece in stream.texts():
            on_text(piece)
    return stream.reply


def _results(calls: list[dict[str, Any]], known: Mapping[str, Tool], parallel: bool) -> list[dict[str, Any]]:
    """The messages that answer tool calls, in their order."""
    if parallel:
        with ThreadPoolExecutor(len(calls)) as threads:
            texts = list(threads.map(lambda call: _result(call, known), calls))
    else:
        texts = [_result(call, known) for call in calls]
    return [{"role": "tool", "tool_call_id": call.get("id"), "content": text} for call, text in zip(calls, texts)]


def _result(call: Mapping[str, Any], known: Mapping[str, Tool]) -> str:
    """What one call returns, or what is wrong with it, as text for the model."""
    asked = call.get("function") or {}
    name = str(asked.get("name"))
    if name not in known:
        return _wrong(name, f"there is no such tool; there is: {', '.join(known)}")
    try:
        arguments = _arguments(known[name], asked.get("arguments") or "{}")
    except (TypeError, ValueError) as error:
        return _wrong(name, f"bad arguments: {error}")
    try:
        return _text(known[name].function(**arguments))
    except Exception as error:              # whatever it is: the model may find another way
        return _wrong(name, f"{type(error).__name__}: {error}", exc_info=True)


def _arguments(tool: Tool, text: str) -> dict[str, Any]:
    """The keyword arguments of a call; raises TypeError, or ValueError (MismatchError)."""
    value: Any = typed.decode(text)
    if tool.fields is not None:
        return typed.fill(tool.fields, value)
    inspect.signature(tool.function).bind(**value)
    return dict(value)


def _wrong(name: str, what: str, exc_info: bool = False) -> str:
    log.warning("tool %s: %s", name, what, exc_info=exc_info)
    return f"error: {what}"


def _text(result: Any) -> str:
    """What a function returned: a text as it is, else as JSON."""
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    is_data = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return dataclasses.asdict(value) if is_data else str(value)
