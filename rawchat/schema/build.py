"""Build the instance of a Python type from JSON, checked on the way: the inverse of `schema`.

>>> build(list[int], [1, 2])
[1, 2]
>>> build(list[int], [1, "2"])
Traceback (most recent call last):
rawchat.schema.build.MismatchError: [1]: not int: '2'
"""

import json
import re
import reprlib
import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

from ..errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    one_line,
)
from ..reply import Reply
from ..wire.json_text import mend
from . import as_object
from .fields import QUALIFIERS, UNIONS, Field, fields, is_enum, is_object, is_pydantic, to_jsonable

FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)```\s*", re.DOTALL | re.IGNORECASE)

#: What ends the reasoning that stands in the text before the answer: DeepSeek, Qwen and MiniMax write `</think>`, Gemini
#: `</thought>`, ByteDance `</seed:think>`, Magistral `[/THINK]`, Kimi `◁/think▷`; gpt-oss begins the answer by a channel.
END_OF_REASONING = re.compile(
    r"</(?:think|thinking|thoughts?|reasoning|seed:think)>|\[/THINK\]|◁/think▷"
    r"|<\|channel\|>final[^<{]{0,20}(?:<\|constrain\|>json)?<\|message\|>"
)


class MismatchError(ValueError):
    """JSON that does not fit the type; the message names the place."""


# --- from a reply


def parse_reply(reply: Reply, type_: Any) -> Any:
    """Return the instance of `type_` in the text of `reply`, which is JSON; set `reply.parsed` to it.

    Raises LengthFinishReasonError, ContentFilterFinishReasonError, or APIResponseValidationError for a refusal or a
    text that does not fit; each has the reply as its `.reply`.
    """
    if reply.finish_reason == "length":
        cut = LengthFinishReasonError(
            "the typed answer was cut by the token limit; a larger max_tokens may help"
        )
        cut.reply = reply
        raise cut
    if reply.finish_reason == "content_filter":
        filtered = ContentFilterFinishReasonError("the typed answer was cut by the content filter")
        filtered.reply = reply
        raise filtered
    refusal = refusal_text(reply.message)
    if refusal:
        raise invalid_reply(f"the model refused: {one_line(refusal, 200)}", reply)
    try:
        reply.parsed = parse_json(type_, reply.text)
    except MismatchError as error:
        reason = one_line(str(error), 300)
        excerpt = one_line(reply.text, 120) or "no text"
        failure = f"the answer does not fit: {reason} (it was: {excerpt})"
        raise invalid_reply(failure, reply) from None
    return reply.parsed


def refusal_text(message: Mapping[str, Any]) -> str:
    """Return the words in which the model refused, or ''.

    They are the field `refusal`, or a part of the content that has such a field.
    """
    places = [message]
    if isinstance(message.get("content"), list):
        places += message["content"]
    for place in places:
        refusal = place.get("refusal")
        if refusal and isinstance(refusal, str):
            return refusal
    return ""


def invalid_reply(message: str, reply: Reply) -> APIResponseValidationError:
    """Return the error for a reply that holds no instance, with the metadata of its response."""
    failure = APIResponseValidationError(
        message,
        status_code=reply.status,
        headers=reply.headers,
        retries=reply.retries,
        request_id=reply.request_id,
    )
    failure.reply = reply
    return failure


def parse_json(type_: Any, text: str) -> Any:
    """Return the instance of `type_` in a text that is its JSON; raise MismatchError.

    The JSON may be one fenced block, and may follow the model's reasoning: see `find_json`.
    """
    text = find_json(text)
    if is_pydantic(type_):
        try:
            return type_.model_validate_json(text)
        except ValueError as error:
            raise MismatchError(str(error)) from None
    object_type = as_object(type_)
    value = decode_json(text)
    try:
        instance = build(object_type, value)
    except RecursionError:
        raise MismatchError("nested too deeply") from None
    if object_type is type_:
        return instance
    return instance.value


def find_json(text: str) -> str:
    """Return the part of an answer that should be its JSON.

    This is what follows the reasoning that some models put before the answer (END_OF_REASONING), without the fence that
    some put around it.  Prose beside the JSON stays, and makes it no JSON: brackets in prose must not be taken for the answer.

    >>> find_json("<think>A list {of sorts}.</think>\\n```json\\n[1]\\n```")
    '[1]\\n'
    """
    end_of_reasoning = END_OF_REASONING.search(text)
    # The tag may as well stand in a string of the JSON.
    if end_of_reasoning and not is_json(text):
        text = text[end_of_reasoning.end() :]
    fenced = FENCED.fullmatch(text)
    if fenced:
        return fenced[1]
    return text


def is_json(text: str) -> bool:
    """Return whether `text` is JSON."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def decode_json(text: str) -> Any:
    """Return the value of a JSON text; raise MismatchError."""
    try:
        value = json.loads(text, parse_constant=reject_constant)
        # An escape may hold half of a surrogate pair.
        if "\\u" in text:
            value = mend(value)
        return value
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"not JSON: {error}") from None


def reject_constant(constant: str) -> NoReturn:
    """Raise ValueError for NaN or Infinity, which Python's decoder would let through."""
    raise ValueError(f"{constant} is not JSON")


# --- from a JSON value


def build(type_: Any, value: Any, place: str = "") -> Any:
    """Return the instance of `type_` for the JSON `value`.

    Raises MismatchError with the place, `people[0].name`; RecursionError for a value that is nested too deeply.
    """
    origin = get_origin(type_)
    args = get_args(type_)
    if origin is Annotated or getattr(origin, "_name", "") in QUALIFIERS:
        return build(args[0], value, place)
    if origin in UNIONS:
        return build_union(type_, value, place)
    if origin is list and isinstance(value, list):
        return [build(args[0], item, f"{place}[{index}]") for index, item in enumerate(value)]
    if origin is Literal:
        return choose(args, type_, value, place)
    if is_enum(type_):
        return choose(type_, type_, value, place)
    if is_object(type_):
        return build_object(type_, value, place)
    if type_ is float and type(value) in (int, float) and abs(value) <= sys.float_info.max:
        # Python's decoder reads 1e999 as infinity, which JSON does not have.
        return float(value)
    if type_ is not float and isinstance(type_, type) and type(value) is type_:
        return value
    raise mismatch(type_, value, place)


def build_union(type_: Any, value: Any, place: str) -> Any:
    """Return the instance of the first member of a union that fits; of an Optional, say what is wrong inside."""
    options = [arg for arg in get_args(type_) if (arg is type(None)) is (value is None)]
    for option in options:
        try:
            return build(option, value, place)
        except MismatchError:
            if len(options) == 1:
                raise
    raise mismatch(type_, value, place)


def choose(options: Iterable[Any], type_: Any, value: Any, place: str) -> Any:
    """Return the one of `options`, members of the Enum or Literal `type_`, that has the JSON `value`."""
    for option in options:
        expected = to_jsonable(option)
        # 1 == True in Python, but not in JSON.
        same_kind = isinstance(expected, bool) is isinstance(value, bool)
        if expected == value and same_kind:
            return option
    raise mismatch(type_, value, place)


def build_object(type_: Any, value: Any, place: str) -> Any:
    """Return the dataclass or TypedDict for a JSON object."""
    arguments = build_arguments(fields(type_), value, place)
    try:
        return type_(**arguments)
    except (TypeError, ValueError) as error:
        # A __post_init__ may check more than the types.
        raise MismatchError(f"{place or 'the top'}: {error}") from error


def build_arguments(expected: Iterable[Field], value: Any, place: str = "") -> dict[str, Any]:
    """Return the keyword arguments in a JSON object, every value built.

    Raises MismatchError for a value that is not an object, lacks a key without a default, or has an unknown key.
    """
    where = place or "the top"
    if not isinstance(value, dict):
        raise MismatchError(f"{where}: not an object: {reprlib.repr(value)}")
    by_name = {field.name: field for field in expected}
    missing = [
        field.name for field in by_name.values() if field.required and field.name not in value
    ]
    unknown = value.keys() - by_name.keys()
    reasons = []
    if missing:
        reasons.append("missing " + ", ".join(missing))
    if unknown:
        reasons.append("unknown " + ", ".join(unknown))
    if reasons:
        raise MismatchError(f"{where}: {'; '.join(reasons)}")
    arguments = {}
    for name, field in by_name.items():
        if name in value:
            inner = f"{place}.{name}" if place else name
            arguments[name] = build(field.type, value[name], inner)
    return arguments


def mismatch(type_: Any, value: Any, place: str) -> MismatchError:
    """Return the error for a JSON value that is not a `type_`."""
    name = type_.__name__ if isinstance(type_, type) else str(type_).replace("typing.", "")
    return MismatchError(f"{place or 'the top'}: not {name}: {reprlib.repr(value)}")
