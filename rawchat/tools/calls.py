"""The tool calls of a reply, answered: arguments are checked, functions run, and what goes wrong is told to the model.

>>> known = {"double": Tool({}, lambda number: 2 * number)}
>>> run_calls([{"id": "c0", "function": {"name": "double", "arguments": '{"number": 4}'}}], known)
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
from ..history.window import Message
from ..normalise import join_halves
from ..schema import build
from ..schema.fields import Field, to_jsonable

MAX_THREADS = (
    32  #: calls that run at once, however many a reply holds: ThreadPoolExecutor's own bound
)


log = logging.getLogger("rawchat")


Function = Callable[..., Any]


class Tool(NamedTuple):
    """What the model is told of a function, and the function."""

    spec: Mapping[str, Any]
    function: Function
    fields: Optional[list[Field]] = None  #: None: ready-made, so its schema is not ours to check


def run_calls(
    calls: list[dict[str, Any]], known: Mapping[str, Tool], parallel: bool = False
) -> list[Message]:
    """The messages that answer `calls`, in their order; raises APIResponseValidationError for what is no call."""
    if not all(
        isinstance(call, dict) and isinstance(call.get("function") or {}, dict) for call in calls
    ):
        raise APIResponseValidationError(
            f"the tool calls of the reply are none: {one_line(str(calls), 120)}"
        )
    if parallel:
        with ThreadPoolExecutor(min(len(calls), MAX_THREADS)) as threads:
            texts = list(threads.map(lambda call: run_call(call, known), calls))
    else:
        texts = [run_call(call, known) for call in calls]
    return [
        {"role": "tool", "tool_call_id": call.get("id"), "content": join_halves(text)}
        for call, text in zip(calls, texts)
    ]


def run_call(call: Mapping[str, Any], known: Mapping[str, Tool]) -> str:
    """What one call returns, or what is wrong with it, as text for the model."""
    asked = call.get("function") or {}
    name = str(asked.get("name"))
    if name not in known:
        return call_error(name, f"there is no such tool; there is: {', '.join(known)}")
    try:
        arguments = parse_arguments(known[name], asked.get("arguments") or "{}")
    except (TypeError, ValueError, RecursionError) as error:
        return call_error(name, f"bad arguments: {error}")
    try:
        return result_text(known[name].function(**arguments))
    except Exception as error:  # whatever it is: the model may find another way
        return call_error(name, f"{type(error).__name__}: {error}", exc_info=True)


def parse_arguments(tool: Tool, text: str) -> dict[str, Any]:
    """The keyword arguments of a call; raises TypeError, ValueError (MismatchError), or RecursionError."""
    value: Any = build.decode_json(text)
    if tool.fields is not None:
        return build.build_arguments(tool.fields, value)
    with contextlib.suppress(ValueError):  # some built-in functions do not tell their signature
        inspect.signature(tool.function).bind(**value)
    return dict(value)


def call_error(name: str, what: str, exc_info: bool = False) -> str:
    log.warning("tool %s: %s", one_line(name), one_line(what), exc_info=exc_info)
    return f"error: {what}"


def result_text(result: Any) -> str:
    """What a function returned: a text as it is, else as JSON."""
    return (
        result
        if isinstance(result, str)
        else json.dumps(result, ensure_ascii=False, default=json_default)
    )


def json_default(value: Any) -> Any:
    meant = to_jsonable(value)
    return str(value) if meant is value else meant
