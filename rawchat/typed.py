"""From JSON to the instance of a Python type, checked on the way: what `schema` asks for, this takes in.

>>> build(list[int], [1, 2])
[1, 2]
>>> build(list[int], [1, "2"])
Traceback (most recent call last):
rawchat.typed.MismatchError: [1]: not int: '2'
"""

import json
import re
import reprlib
import sys
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NoReturn, get_args, get_origin

from .encode import mend
from .fields import QUALIFIERS, UNIONS, Field, fields, is_enum, is_object, plain
from .schema import answer

FENCED = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)```\s*", re.DOTALL | re.IGNORECASE)


class MismatchError(ValueError):
    """JSON that does not fit the type; says where."""


def parse(kind: Any, text: str) -> Any:
    """The instance of `kind` in a text that is its JSON, or one fenced block of it.  Raises MismatchError."""
    fenced = FENCED.fullmatch(text)
    text = fenced[1] if fenced else text
    if hasattr(kind, "model_validate_json"):
        try:
            return kind.model_validate_json(text)
        except ValueError as error:
            raise MismatchError(str(error)) from None
    shape = answer(kind)
    try:
        built = build(shape, decode(text))
    except RecursionError:
        raise MismatchError("nested too deeply") from None
    return built if shape is kind else built.value


def decode(text: str) -> Any:
    """The value of a JSON text; raises MismatchError."""
    try:
        value = json.loads(text, parse_constant=_refused)
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
        return _one_of(kind, value, place)
    if origin is list and isinstance(value, list):
        return [build(args[0], item, f"{place}[{at}]") for at, item in enumerate(value)]
    if origin is Literal or is_enum(kind):
        for option in args or kind:
            meant = plain(option)
            if meant == value and isinstance(meant, bool) is isinstance(
                value, bool
            ):  # 1 == True, in Python only
                return option
    elif is_object(kind):
        return _called(kind, fill(fields(kind), value, place), place)
    elif kind is float:
        if (
            type(value) in (int, float) and abs(value) <= sys.float_info.max
        ):  # 1e999 becomes infinity
            return float(value)
    elif isinstance(kind, type) and type(value) is kind:
        return value
    _refuse(kind, value, place)


def fill(wanted: Iterable[Field], value: Any, place: str = "") -> dict[str, Any]:
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


def _one_of(kind: Any, value: Any, place: str) -> Any:
    """The first member of a union that fits; of an Optional, the error tells what is wrong inside."""
    options = [arg for arg in get_args(kind) if (arg is type(None)) is (value is None)]
    for option in options:
        try:
            return build(option, value, place)
        except MismatchError:
            if len(options) == 1:
                raise
    _refuse(kind, value, place)


def _called(kind: Any, arguments: dict[str, Any], place: str) -> Any:
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:  # a __post_init__ that checks more
        raise MismatchError(f"{place or 'the top'}: {error}") from error


def _refuse(kind: Any, value: Any, place: str) -> NoReturn:
    name = kind.__name__ if isinstance(kind, type) else str(kind).replace("typing.", "")
    raise MismatchError(f"{place or 'the top'}: not {name}: {reprlib.repr(value)}")


def _refused(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
