"""Check a JSON value against a JSON schema: of the schema language, what servers enforce when they are strict.

>>> first_error([{"age": "7"}], {"type": "array", "items": {"properties": {"age": {"type": "integer"}}}})
"[0].age: not integer: '7'"
"""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Optional

Schema = Mapping[str, Any]

PYTHON_TYPES: dict[str, Any] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}

TEXT_BOUNDS = ("minLength", "maxLength", "pattern")
LIST_BOUNDS = ("minItems", "maxItems")
NUMBER_BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")


def first_error(value: Any, schema: Schema) -> Optional[str]:
    """Return the first thing in `value` that does not fit `schema`, with its place; None if all fits.

    A schema that cannot be checked is an error, too.
    """
    try:
        return next(iter_errors(value, schema, schema, ""), None)
    except (
        ArithmeticError,
        AttributeError,
        KeyError,
        RecursionError,
        TypeError,
        re.error,
    ) as error:
        return f"the schema cannot be checked: {type(error).__name__}: {error}"


def resolve_ref(ref: str, root: Any) -> Any:
    """Return what a $ref refers to, within the same schema (JSON Pointer, RFC 6901); raise KeyError."""
    if not ref.startswith("#"):
        raise KeyError(ref)
    for name in ref[1:].split("/")[1:]:
        root = root[name.replace("~1", "/").replace("~0", "~")]
    return root


def iter_errors(value: Any, schema: Schema, root: Schema, place: str) -> Iterator[str]:
    """Yield what in `value` does not fit `schema`, a part of the schema `root`; `place` is that of `value`."""
    where = name_place(place)
    shown = reprlib.repr(value)
    if "$ref" in schema:
        yield from iter_errors(value, resolve_ref(schema["$ref"], root), root, place)
    types = schema.get("type", [])
    if isinstance(types, str):
        types = [types]
    if types and not any(has_type(value, name) for name in types):
        yield f"{where}: not {' or '.join(types)}: {shown}"
    if "enum" in schema:
        choices = schema["enum"]
    elif "const" in schema:
        choices = [schema["const"]]
    else:
        choices = None
    if choices is not None and not any(is_equal(value, choice) for choice in choices):
        yield f"{where}: not one of {', '.join(map(repr, choices))}: {shown}"
    if "anyOf" in schema and not fits_any(value, schema["anyOf"], root, place):
        yield f"{where}: fits none of anyOf: {shown}"
    for name in applicable_bounds(value):
        if name in schema and not fits_bound(value, name, schema[name]):
            yield f"{where}: {name} is {schema[name]}: {shown}"
    if isinstance(value, dict):
        yield from object_errors(value, schema, root, place)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from iter_errors(item, schema["items"], root, f"{place}[{index}]")


def object_errors(value: dict[str, Any], schema: Schema, root: Schema, place: str) -> Iterator[str]:
    """Yield what is wrong with the keys of an object, and with their values."""
    where = name_place(place)
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        yield f"{where}: missing {', '.join(missing)}"
    if schema.get("additionalProperties") is False:
        unknown = [name for name in value if name not in known]
        if unknown:
            yield f"{where}: unknown {', '.join(unknown)}"
    for name, subschema in known.items():
        if name in value:
            yield from iter_errors(value[name], subschema, root, f"{place}.{name}")


def name_place(place: str) -> str:
    """Return the name of a place for a message: `people[0].name`, or 'the top'."""
    return place.lstrip(".") or "the top"


def fits_any(value: Any, schemas: list[Schema], root: Schema, place: str) -> bool:
    """Return whether `value` fits one of `schemas`."""
    return any(next(iter_errors(value, each, root, place), None) is None for each in schemas)


def has_type(value: Any, name: str) -> bool:
    """Return whether `value` has the JSON type `name`; an unknown type fits nothing."""
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        # 1.0 is an integer (JSON Schema validation, 6.1.1).
        return value.is_integer()
    return isinstance(value, PYTHON_TYPES.get(name, ()))


def is_equal(value: Any, other: Any) -> bool:
    """Return whether two JSON values are equal; 1 == True in Python, but not in JSON."""
    return bool(value == other) and isinstance(value, bool) is isinstance(other, bool)


def applicable_bounds(value: Any) -> tuple[str, ...]:
    """Return the names of the bounds that apply to values of this type."""
    if isinstance(value, str):
        return TEXT_BOUNDS
    if isinstance(value, list):
        return LIST_BOUNDS
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return NUMBER_BOUNDS
    return ()


def fits_bound(value: Any, name: str, bound: Any) -> bool:
    """Return whether `value` keeps the bound `name` of a schema."""
    if name in ("minLength", "minItems"):
        fits = len(value) >= bound
    elif name in ("maxLength", "maxItems"):
        fits = len(value) <= bound
    elif name == "pattern":
        fits = matches_pattern(value, bound)
    elif name == "minimum":
        fits = value >= bound
    elif name == "maximum":
        fits = value <= bound
    elif name == "exclusiveMinimum":
        fits = value > bound
    elif name == "exclusiveMaximum":
        fits = value < bound
    else:
        # multipleOf, for floats too: 0.3 / 0.1 is not quite 3.
        fits = math.isclose(value / bound, round(value / bound))
    return bool(fits)


def matches_pattern(text: str, pattern: str) -> bool:
    """Return whether the caller's `pattern` matches somewhere in `text`, as JSON Schema wants it."""
    return re.search(pattern, text) is not None
