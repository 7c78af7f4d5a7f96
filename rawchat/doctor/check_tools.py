"""The checks of tools and of structured output."""

import json
import re
from collections.abc import Sequence
from typing import Any, Optional

from . import exchanges
from .exchanges import Event, Outcome
from .probe import DIFFERS, NO, NOT_TRIED, OK, Session, Verdict, no_evidence, refusal_verdict
from .responses import shown_text

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ONE_CITY = "What is the weather in Paris? Use the tool."
TWO_CITIES = "What is the weather in Paris, and what is it in Rome? Call the tool once for each city, both at once."
CALL: dict[str, Any] = {
    "id": "call_doctor01",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Paris"}'},
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
#: bound on the answers of these checks
ANSWER_TOKENS = 96
CUT_OBJECT = f"the object is cut at our limit of {ANSWER_TOKENS} tokens"
#: bound on an answer with two calls
PARALLEL_TOKENS = 128
#: The beginning of a JSON object; a grammar may allow any number of blanks in it.
OBJECT_START = re.compile(r"\s*\{\s*(\Z|[\"}])")
#: The beginning of an object with a whole first key.
FIRST_KEY = re.compile(r"\s*\{\s*\"([^\"]*)\"")
#: The beginning of a call in the formats that models write: JSON, or in a tag.
CALL_STARTS = ("{", "[", "<")
PERSON = "Invent a person: a name and an age, as a JSON object with the keys name and age."


def tools(session: Session) -> Verdict:
    """Ask for a tool call."""
    outcome, forced = _ask_for_tool(session, ONE_CITY)
    if not outcome.answered:
        return refusal_verdict(outcome)
    calls = exchanges.message(outcome.json).get("tool_calls")
    is_cut = exchanges.is_cut(outcome.json, ANSWER_TOKENS)
    if not exchanges.objects(calls):
        text = exchanges.text(outcome.json)
        return without_call(text, is_cut, forced)
    fault = fault_of_call(exchanges.objects(calls)[0])
    if fault:
        return Verdict(DIFFERS, fault)
    reason = exchanges.finish_reason(outcome.json)
    if reason != "tool_calls" and not is_cut:
        return Verdict(DIFFERS, f"finish_reason is {short(reason)}")
    return Verdict(OK) if forced else Verdict(DIFFERS, "tool_choice=required is refused")


def without_call(text: str, is_cut: bool, forced: bool) -> Verdict:
    """Return the verdict for an answer without a call: the server's doing only if the call was forced."""
    begins_a_call = text.lstrip().startswith(CALL_STARTS)
    if is_cut and (not text.strip() or begins_a_call):
        return Verdict(NOT_TRIED, f"the answer was cut at {ANSWER_TOKENS} tokens")
    if not forced:
        how = "tool_choice=required is refused, and the model chose to answer with text"
        return Verdict(NOT_TRIED, how)
    return Verdict(NO, "answered with text in place of a call", 5)


def _ask_for_tool(session: Session, prompt: str, **params: Any) -> tuple[Outcome, bool]:
    """Return a response to a request that needs a tool, and whether the call could be forced."""
    limit = ANSWER_TOKENS
    outcome = session.chat(prompt, limit, tools=[WEATHER], tool_choice="required", **params)
    if outcome.status in (400, 422) and b"tool_choice" in outcome.body:
        return session.chat(prompt, limit, tools=[WEATHER], **params), False
    return outcome, True


def fault_of_call(call: dict[str, Any]) -> str:
    """Return what is wrong with the shape of a tool call; '' if nothing is.

    Arguments that are text are right, whatever the text is: the model words it, and our limit of tokens may cut it.
    """
    function = call.get("function")
    if not isinstance(function, dict) or not function.get("name"):
        return "a call without the name of a function"
    if not isinstance(call.get("id"), str) or not call["id"]:
        return "a call without an id"
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        return "the arguments are an object, not JSON text"
    if not isinstance(arguments, str):
        return "a call without arguments"
    return ""


def parse_json(text: Any) -> Any:
    """Return the JSON in a text; None if it is not JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return None


def short(value: Any) -> str:
    """Return a value of the server's, short enough for a line."""
    return shown_text(repr(value), 40)


def tools_stream(session: Session) -> Verdict:
    """Ask for a streamed tool call."""
    choice = _choice(session)
    outcome = session.stream_chat(ONE_CITY, ANSWER_TOKENS, tools=[WEATHER], **choice)
    if not outcome.answered:
        return refusal_verdict(outcome)
    events = session.events(outcome)
    parts = call_parts(events)
    if not parts:
        text = "".join(str(delta.get("content") or "") for delta in exchanges.deltas(events))
        is_cut = exchanges.streamed_finish(events) == "length"
        verdict = without_call(text, is_cut, bool(choice))
        if verdict.status == NO:
            return Verdict(NO, "no event holds a tool call", 5)
        return verdict
    if any(not isinstance(part.get("index"), int) for part in parts):
        return Verdict(DIFFERS, "parts of calls without an index")
    fault = fault_of_call(merge_parts(parts))
    return Verdict(DIFFERS, fault) if fault else Verdict(OK)


def _choice(session: Session) -> dict[str, Any]:
    """Return the tool_choice that the check `tools` found to work."""
    if "tool_choice" in session.results["tools"].how:
        return {}
    return {"tool_choice": "required"}


def call_parts(events: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the parts of tool calls in a stream."""
    found = []
    for delta in exchanges.deltas(events):
        found += exchanges.objects(delta.get("tool_calls"))
    return found


def merge_parts(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the first call of a stream, its arguments joined."""
    first = parts[0].get("index")
    merged: dict[str, Any] = {"id": None, "function": {"name": "", "arguments": ""}}
    for part in parts:
        if part.get("index") != first:
            continue
        function = part.get("function")
        merged["id"] = merged["id"] or part.get("id")
        if not isinstance(function, dict):
            continue
        merged["function"]["name"] = merged["function"]["name"] or function.get("name")
        piece = function.get("arguments")
        if isinstance(piece, dict):
            merged["function"]["arguments"] = piece
        elif isinstance(piece, str) and isinstance(merged["function"]["arguments"], str):
            merged["function"]["arguments"] += piece
    return merged


def tools_parallel(session: Session) -> Verdict:
    """Ask for two tool calls at once."""
    outcome = session.chat(
        TWO_CITIES, PARALLEL_TOKENS, tools=[WEATHER], parallel_tool_calls=True, **_choice(session)
    )
    if not outcome.answered:
        return refusal_verdict(outcome)
    calls = exchanges.objects(exchanges.message(outcome.json).get("tool_calls"))
    if len(calls) >= 2:
        if len({str(call.get("id")) for call in calls}) < len(calls):
            return Verdict(DIFFERS, "two calls share an id")
        return Verdict(OK)
    count = f"{len(calls)} call where two were asked for"
    return Verdict(NOT_TRIED, f"{count}: the model, or the server, makes no more at once")


def tools_round_trip(session: Session) -> Verdict:
    """Send the result of a tool call back."""
    messages: list[dict[str, Any]] = [
        {"role": "user", "content": ONE_CITY},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": CALL["id"], "content": "18 degrees, sunny"},
    ]
    outcome = session.chat(messages, 64, tools=[WEATHER])
    if not outcome.answered:
        as_text = [messages[0], {**messages[1], "content": ""}, messages[2]]
        again = session.chat(as_text, 64, tools=[WEATHER])
        if again.answered:
            return Verdict(
                DIFFERS, "content: null beside tool calls is refused, an empty text is not"
            )
        return refusal_verdict(outcome)
    if not exchanges.choices(outcome.json):
        return Verdict(NO, "the response has no choices", 5)
    return Verdict(OK)


def json_mode(session: Session) -> Verdict:
    """Ask for a JSON object."""
    outcome = session.chat(PERSON, ANSWER_TOKENS, response_format={"type": "json_object"})
    if shortfall := _without_text(outcome):
        return shortfall
    fault, is_begun = _read_json(outcome)
    if is_begun:
        return Verdict(OK, CUT_OBJECT)
    return _judge_json(fault)


def json_schema(session: Session) -> Verdict:
    """Ask for JSON that fits a schema."""
    schema = {"name": "person", "schema": SCHEMA, "strict": True}
    format = {"type": "json_schema", "json_schema": schema}
    outcome = session.chat("Invent a person.", ANSWER_TOKENS, response_format=format)
    if shortfall := _without_text(outcome):
        return shortfall
    fault, is_begun = _read_json(outcome)
    text = exchanges.text(outcome.json)
    if is_begun:
        return _judge_cut_object(text)
    if not fault:
        fault = schema_fault(parse_json(text))
    return _judge_json(fault)


def _without_text(outcome: Outcome) -> Optional[Verdict]:
    """Return the verdict for a response that holds no text to judge; None if it holds one."""
    if not outcome.answered:
        return refusal_verdict(outcome)
    if not exchanges.text(outcome.json).strip():
        return no_evidence(outcome, ANSWER_TOKENS)
    return None


def _read_json(outcome: Outcome) -> tuple[str, bool]:
    """Return what keeps the answer from being a JSON object, "" if it is one; and whether only our limit cut it."""
    text = exchanges.text(outcome.json)
    is_cut = exchanges.is_cut(outcome.json, ANSWER_TOKENS)
    fault = fault_of_json(text, is_cut)
    return fault, bool(fault and is_cut and OBJECT_START.match(text))


def _judge_json(fault: str) -> Verdict:
    if not fault:
        return Verdict(OK)
    if fault.startswith("fenced"):
        return Verdict(DIFFERS, fault)
    return Verdict(NO, f"ignored: {fault}", 10)


def _judge_cut_object(text: str) -> Verdict:
    """Return the verdict for an object that our limit of tokens cut, by its first key."""
    key = FIRST_KEY.match(text)
    if key is None:
        return Verdict(NOT_TRIED, f"the answer was cut at {ANSWER_TOKENS} tokens")
    if key.group(1) not in SCHEMA["properties"]:
        return _judge_json("the answer has other keys than the schema")
    return Verdict(OK, CUT_OBJECT)


def fault_of_json(text: str, is_cut: bool) -> str:
    """Return what keeps a text from being a JSON object; '' if it is one."""
    if isinstance(parse_json(text), dict):
        return ""
    if text.strip().startswith("```"):
        # The first line of a block of Markdown is the name of its language.
        inside = text.strip().strip("`").partition("\n")[2]
        is_beginning = is_cut and OBJECT_START.match(inside)
        if is_beginning or isinstance(parse_json(inside), dict):
            return "fenced: the JSON is in a block of Markdown"
    return "the answer is not a JSON object"


def schema_fault(value: dict[str, Any]) -> str:
    """Return how an object fails to fit the schema of the check; "" if it fits."""
    if set(value) != {"name", "age"}:
        return "the answer has other keys than the schema"
    age = value["age"]
    # A bool is an int in Python, not in JSON.
    is_integer = isinstance(age, int) and not isinstance(age, bool)
    if not isinstance(value["name"], str) or not is_integer:
        return "the answer has other types than the schema"
    return ""
