"""The tool loop: run the functions that the model calls, send it the results, and repeat until it answers in text.

def temperature(city: str, unit: Literal["C", "F"] = "C") -> float:
    '''The temperature in a city right now.

    city: its name in English
    '''

reply = tools.run("How warm is it in Paris?", tools=[temperature])
"""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Callable, Optional, Union

from ..client import Client
from ..client.default import default_client
from ..endpoints import INCLUDE_USAGE, Messages, as_messages
from ..errors import APIResponseValidationError, ToolRoundsError
from ..history import History
from ..history.record import Message, transaction
from ..history.window import to_store
from ..reply import Reply
from ..schema import schema
from ..schema.fields import fields
from ..wire.json_text import Added
from .calls import Function, Tool, run_calls


def run(
    messages: Messages,
    tools: Iterable[Union[Function, Mapping[str, Any]]],
    client: Optional[Client] = None,
    max_rounds: int = 10,
    functions: Optional[Mapping[str, Function]] = None,
    parallel: bool = False,
    on_text: Optional[Callable[[str], Any]] = None,
    on_reply: Optional[Callable[[Reply, list[Message]], Any]] = None,
    send: Optional[Callable[[list[Message]], Reply]] = None,
    **params: Any,
) -> Reply:
    """Send the messages, run the functions that the model calls, and repeat; return the first reply without a call.

    messages    a text, or messages; a list, such as a History, grows by every message of a run that succeeds
    tools       functions, or ready-made tool dicts whose names are in `functions`
    client      default: the client of the History, else the default client
    max_rounds  maximum number of requests
    parallel    run the calls of one reply in threads; the results keep their order
    on_text     called with every piece of text as it arrives: the replies are streamed
    on_reply    called with every reply, before its calls are run, and with the messages that were sent for it
    send        make one request with these messages and return its reply, in place of `client`, `on_text` and `params`
    params      body parameters of every request (temperature=0)

    What goes wrong with a call (bad arguments, an unknown name, an exception) is sent to the model, and logged.
    A History sends its window, and recovers from a context overflow.

    Raises ToolRoundsError, whose `.messages` can be continued; APIResponseValidationError for a reply without a
    message, or one that announces calls and holds none; TypeError for tools that cannot be used; and what
    `Client.chat` raises.  The list is then as it was before.
    """
    conversation: list[Any]
    conversation = messages if isinstance(messages, list) else list(as_messages(messages))
    by_name = tools_by_name(tools, functions or {})
    if by_name:
        params["tools"] = [tool.spec for tool in by_name.values()]
    if send is None:
        if client is None and isinstance(conversation, History):
            client = conversation.client
        send = make_sender(client or default_client(), on_text, params)

    with transaction(conversation):
        for _ in range(max_rounds):
            if isinstance(conversation, History):
                reply, sent = conversation.send_window(send)
            else:
                sent = list(conversation)
                reply = send(sent)
            if on_reply is not None:
                on_reply(reply, sent)
            if isinstance(conversation, History):
                conversation.add(reply, sent)
            else:
                conversation.append(to_store(reply.message))
            if not reply.tool_calls:
                check_finish_reason(reply)
                return reply
            conversation.extend(run_calls(reply.tool_calls, by_name, parallel))
        failure = ToolRoundsError(
            f"the model still calls tools after {max_rounds} rounds; max_rounds= allows more"
        )
        failure.messages = list(conversation)
        raise failure


def spec(function: Function) -> dict[str, Any]:
    """Return the tool dict of a function: its name, the first paragraph of its docstring, its parameters.

    Raises TypeError for an object that is not a named function, and for parameters that a strict schema cannot describe.
    """
    name = getattr(function, "__name__", None)
    if name is None or not callable(function):
        kind = type(function).__name__
        raise TypeError(f"a tool is a function with a name, or a tool dict, not {kind}")
    details: dict[str, Any] = {"name": name}
    paragraph = (inspect.getdoc(function) or "").split("\n\n")[0]
    if paragraph.strip():
        details["description"] = " ".join(paragraph.split())
    details["parameters"] = schema(function)
    details["strict"] = True
    return Added({"type": "function", "function": details})


def tools_by_name(
    tools: Iterable[Union[Function, Mapping[str, Any]]], functions: Mapping[str, Function]
) -> dict[str, Tool]:
    """Return the tools by their names.

    Raises TypeError for two of one name, for one without a function, and for a single tool outside a list.
    """
    if not isinstance(tools, Iterable) or isinstance(tools, (str, Mapping)):
        name = getattr(tools, "__name__", "…")
        raise TypeError(f"tools must be a list of tools: tools=[{name}]")
    by_name: dict[str, Tool] = {}
    for each in tools:
        tool = make_tool(each, functions)
        name = tool.spec["function"]["name"]
        if name in by_name:
            raise TypeError(f"two tools have the same name: {name!r}")
        by_name[name] = tool
    return by_name


def make_tool(given: Union[Function, Mapping[str, Any]], functions: Mapping[str, Function]) -> Tool:
    """Return the Tool for a function, or for a tool dict whose function is in `functions`."""
    if not isinstance(given, Mapping):
        return Tool(spec(given), given, fields(given))
    name = given["function"]["name"]
    if name not in functions:
        raise TypeError(f"no function for tool {name!r}; add it to functions=")
    return Tool(given, functions[name])


def make_sender(
    client: Client, on_text: Optional[Callable[[str], Any]], params: Mapping[str, Any]
) -> Callable[[list[Message]], Reply]:
    """Return the function that makes one request; with `on_text` it is streamed, and its usage asked for."""

    def send(messages: list[Message]) -> Reply:
        """Send the messages and return the reply."""
        if on_text is None:
            return client.chat(messages, **params)
        with client.stream_chat(messages, **{"stream_options": INCLUDE_USAGE, **params}) as stream:
            for piece in stream.texts():
                on_text(piece)
        return stream.reply

    return send


def check_finish_reason(reply: Reply) -> None:
    """Raise APIResponseValidationError for a reply that announces tool calls, and holds neither one nor a text."""
    if reply.finish_reason == "tool_calls" and not reply.text:
        raise APIResponseValidationError(
            "the reply announces tool calls, but none of them can be read"
        )
