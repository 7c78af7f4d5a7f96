"""From JSON to the instance of a Python type, checked on the way: what `schema` asks for, this takes in.

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
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

from ..errors import (
    APIResponseValidationError,
    ContentFilterFinishReasonError,
    LengthFinishReasonError,
    RawchatError,
    one_line,
)
from ..normalise import mend
from ..reply import Reply
from . import as_object
from .fields import QUALIFIERS, UNIONS, Field, fields, is_enum, is_object, to_jsonable


def parse_reply(reply: Reply, kind: Any) -> Any:
    """The instance of `kind` that the text of `reply` is the JSON of; it is `reply.parsed` from now on.

    Raises LengthFinishReasonError, ContentFilterFinishReasonError, or APIResponseValidationError for a refusal or
    a text that does not fit; each with the reply as its `.reply`.
    """
    failure: RawchatError
    if reply.finish_reason == "length":
        failure = LengthFinishReasonError(
            "the typed answer was cut by the token limit; a larger max_tokens may help"
        )
    elif reply.finish_reason == "content_filter":
        failure = ContentFilterFinishReasonError("the typed answer was cut by the content filter")
    elif reply.message.get("refusal"):
        failure = mismatch_error(
            f"the model refused: {one_line(reply.message['refusal'], 200)}", reply
        )
    else:
        try:
            reply.parsed = parse_json(kind, reply.text)
            return reply.parsed
        except MismatchError as error:
            excerpt = one_line(reply.text, 120) or "no text"
            failure = mismatch_error(
                f"the answer does not fit: {one_line(str(error), 300)} (it was: {excerpt})", reply
            )
    failure.__dict__["reply"] = reply
    raise failure


def mismatch_error(message: str, reply: Reply) -> APIResponseValidationError:
    return APIResponseValidationError(
        message,
        status_code=reply.status,
        headers=reply.headers,
        retries=reply.retries,
        request_id=reply.request_id,
    )


FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)```\s*", re.DOTALL | re.IGNORECASE)


class MismatchError(ValueError):
    """JSON that does not fit the type; says where."""


def parse_json(kind: Any, text: str) -> Any:
    """The instance of `kind` in a text that is its JSON, or one fenced block of it.  Raises MismatchError."""
    fenced = FENCED.fullmatch(text)
    text = fenced[1] if fenced else text
    if hasattr(kind, "model_validate_json"):
        try:
            return kind.model_validate_json(text)
        except ValueError as error:
            raise MismatchError(str(error)) from None
    shape = as_object(kind)
    try:
        built = build(shape, decode_json(text))
    except RecursionError:
        raise MismatchError("nested too deeply") from None
    return built if shape is kind else built.value


def decode_json(text: str) -> Any:
    """The value of a JSON text; raises MismatchError."""
    try:
        value = json.loads(text, parse_constant=reject_constant)
        return (
            mend(value) if "\\u" in text else value
        )  # half of a character may be escaped in the text
    except (ValueError, RecursionError) as error:
        raise MismatchError(f"not JSON: {error}") from None


def build(kind: Any, value: Any, place: str = "") -> Any:
    """The instance of `kind` that the JSON `value` means; raises MismatchError with its place: `people[0].name`."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated or getattr(origin, "_name", "") in QUALIFIERS:
        return build(args[0], value, place)
    if origin in UNIONS:
        return build_union(kind, value, place)
    if origin is list and isinstance(value, list):
        return [build(args[0], item, f"{place}[{at}]") for at, item in enumerate(value)]
    if origin is Literal or is_enum(kind):
        for option in args or kind:
            meant = to_jsonable(option)
            if meant == value and isinstance(meant, bool) is isinstance(
                value, bool
            ):  # 1 == True, in Python only
                return option
    elif is_object(kind):
        return construct(kind, build_arguments(fields(kind), value, place), place)
    elif kind is float:
        if (
            type(value) in (int, float) and abs(value) <= sys.float_info.max
        ):  # 1e999 becomes infinity
            return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    mismatch(kind, value, place)


def build_arguments(wanted: Iterable[Field], value: Any, place: str = "") -> dict[str, Any]:
    """The keyword arguments in a JSON object: every value built, none missing but with a default, none unknown."""
    if not isinstance(value, dict):
        raise MismatchError(f"{place or 'the top'}: not an object: {reprlib.repr(value)}")
    wanted = list(wanted)
    missing = [field.name for field in wanted if field.needed and field.name not in value]
    unknown = value.keys() - {field.name for field in wanted}
    if missing or unknown:
        reasons = ["missing " + ", ".join(missing)] * bool(missing) + [
            "unknown " + ", ".join(unknown)
        ] * bool(unknown)
        raise MismatchError(f"{place or 'the top'}: {'; '.join(reasons)}")
    return {
        field.name: build(field.kind, value[field.name], f"{place}.{field.name}".lstrip("."))
        for field in wanted
        if field.name in value
    }


def build_union(kind: Any, value: Any, place: str) -> Any:
    """The first member of a union that fits; of an Optional, the error tells what is wrong inside."""
    options = [arg for arg in get_args(kind) if (arg is type(None)) is (value is None)]
    for option in options:
        try:
            return build(option, value, place)
        except MismatchError:
            if len(options) == 1:
                raise
    mismatch(kind, value, place)


def construct(kind: Any, arguments: dict[str, Any], place: str) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:  # a __post_init__ that checks more
        raise MismatchError(f"{place or 'the top'}: {error}") from error


def mismatch(kind: Any, value: Any, place: str) -> NoReturn:
    name = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    raise MismatchError(f"{place or 'the top'}: not {name}: {reprlib.repr(value)}")


def reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
