"""Answer the tool calls of a reply: check the arguments, run the functions, and turn every failure into a result.

>>> by_name = {"double": Tool({}, lambda number: 2 * number)}
>>> run_calls([{"id": "c0", "function": {"name": "double", "arguments": '{"number": 4}'}}], by_name)
[{'role': 'tool', 'tool_call_id': 'c0', 'content': '8'}]
"""

import contextlib
import inspect
import json
import logging
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, NamedTuple, Optional

from ..errors import APIResponseValidationError, one_line
from ..history.record import Message
from ..schema.build import build_arguments, decode_json
from ..schema.fields import Field, to_jsonable
from ..wire.json_text import join_halves

MAX_THREADS = (
    32  #: calls that run at once, however many a reply holds: ThreadPoolExecutor's own bound
)

log = logging.getLogger("rawchat")

Function = Callable[..., Any]


class Tool(NamedTuple):
    """The description of a function that is sent to the model, and the function."""

    spec: Mapping[str, Any]
    function: Function
    fields: Optional[list[Field]] = (
        None  #: its parameters; None for a ready-made tool, whose schema is not checked
    )


def run_calls(
    calls: list[dict[str, Any]], by_name: Mapping[str, Tool], parallel: bool = False
) -> list[Message]:
    """Return the messages that answer `calls`, in their order.

    Raises APIResponseValidationError for calls that are not objects, or whose function is not one.
    """
    for call in calls:
        if not isinstance(call, dict) or not isinstance(call.get("function") or {}, dict):
            excerpt = one_line(str(calls), 120)
            raise APIResponseValidationError(f"malformed tool calls in the reply: {excerpt}")
    if parallel:
        with ThreadPoolExecutor(min(len(calls), MAX_THREADS)) as threads:
            texts = list(threads.map(lambda call: run_call(call, by_name), calls))
    else:
        texts = [run_call(call, by_name) for call in calls]
    messages = []
    for call, text in zip(calls, texts):
        # A lone surrogate in a result could not be sent.
        content = join_halves(text)
        messages.append({"role": "tool", "tool_call_id": call.get("id"), "content": content})
    return messages


def run_call(call: Mapping[str, Any], by_name: Mapping[str, Tool]) -> str:
    """Return what one call returns, or what is wrong with it, as text for the model."""
    function = call.get("function") or {}
    name = str(function.get("name"))
    tool = by_name.get(name)
    if tool is None:
        return call_error(name, f"there is no such tool; there is: {', '.join(by_name)}")
    try:
        arguments = parse_arguments(tool, function.get("arguments") or "{}")
    except (TypeError, ValueError, RecursionError) as error:
        return call_error(name, f"bad arguments: {error}")
    try:
        return result_text(tool.function(**arguments))
    except Exception as error:
        # Whatever it is: the model may find another way.
        return call_error(name, f"{type(error).__name__}: {error}", exc_info=True)


def parse_arguments(tool: Tool, text: str) -> dict[str, Any]:
    """Return the keyword arguments of a call; raise TypeError, ValueError (MismatchError) or RecursionError."""
    value = decode_arguments(text)
    if tool.fields is not None:
        return build_arguments(tool.fields, value)
    # Some built-in functions have no signature: ValueError.
    with contextlib.suppress(ValueError):
        inspect.signature(tool.function).bind(**value)
    return dict(value)


def decode_arguments(text: str) -> Any:
    """Return the arguments in the JSON text of a call; raise ValueError (MismatchError) or RecursionError.

    Some models write nothing, null or "" for a function without parameters, and some encode the JSON text once more.

    >>> [decode_arguments(text) for text in (" ", "null", '""', '{"x": 1}', json.dumps('{"x": 1}'))]
    [{}, {}, {}, {'x': 1}, {'x': 1}]
    """
    if not text.strip():
        return {}
    value = decode_json(text)
    if isinstance(value, str):
        value = decode_json(value) if value.strip() else None
    return {} if value is None else value


def call_error(name: str, reason: str, exc_info: bool = False) -> str:
    """Log what went wrong with a call, and return the text about it for the model."""
    log.warning("tool %s: %s", one_line(name), one_line(reason), exc_info=exc_info)
    return f"error: {reason}"


def result_text(result: Any) -> str:
    """Return the result of a function as text: a text as it is, anything else as JSON."""
    if isinstance(result, str):
        return result
    return json.dumps(result, ensure_ascii=False, default=encode_other)


def encode_other(value: Any) -> Any:
    """Return a value that JSON has no form for as one that it has; what is of an unknown type becomes its str()."""
    encoded = to_jsonable(value)
    if encoded is value:
        return str(value)
    return encoded
