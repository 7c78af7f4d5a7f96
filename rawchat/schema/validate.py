"""Does a JSON value fit a JSON schema?  Of the schema language, what servers hold a model to when they are strict.

>>> first_error([{"age": "7"}], {"type": "array", "items": {"properties": {"age": {"type": "integer"}}}})
"[0].age: not integer: '7'"
"""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, Callable, Optional

Schema = Mapping[str, Any]


TYPES: dict[str, Any] = {
    "string": str,
    "number": (int, float),
    "integer": int,
    "boolean": bool,
    "null": type(None),
    "array": list,
    "object": dict,
}


BOUNDS: dict[str, tuple[Any, Callable[[Any, Any], bool]]] = {
    "minLength": (str, lambda text, bound: len(text) >= bound),
    "maxLength": (str, lambda text, bound: len(text) <= bound),
    "pattern": (str, lambda text, pattern: bool(re.search(pattern, text))),
    "minItems": (list, lambda items, bound: len(items) >= bound),
    "maxItems": (list, lambda items, bound: len(items) <= bound),
    "minimum": ((int, float), lambda number, bound: number >= bound),
    "maximum": ((int, float), lambda number, bound: number <= bound),
    "exclusiveMinimum": ((int, float), lambda number, bound: number > bound),
    "exclusiveMaximum": ((int, float), lambda number, bound: number < bound),
    "multipleOf": (
        (int, float),
        lambda number, unit: math.isclose(number / unit, round(number / unit)),
    ),
}


def first_error(value: Any, schema: Schema) -> Optional[str]:
    """The first thing in `value` that does not fit, with its place; None if all does."""
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
    """What a $ref refers to, within the same schema (RFC 6901); raises KeyError."""
    if not ref.startswith("#"):
        raise KeyError(ref)
    for name in ref[1:].split("/")[1:]:
        root = root[name.replace("~1", "/").replace("~0", "~")]
    return root


def iter_errors(value: Any, schema: Schema, root: Schema, place: str) -> Iterator[str]:
    where, shown = place.lstrip(".") or "the top", reprlib.repr(value)
    if "$ref" in schema:
        yield from iter_errors(value, resolve_ref(schema["$ref"], root), root, place)
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(map(matches_type, [value] * len(kinds), kinds)):
        yield f"{where}: not {' or '.join(kinds)}: {shown}"
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and not any(
        value == each and type_name(value) == type_name(each) for each in allowed
    ):
        yield f"{where}: not one of {', '.join(map(repr, allowed))}: {shown}"
    if "anyOf" in schema and all(
        any(iter_errors(value, each, root, place)) for each in schema["anyOf"]
    ):
        yield f"{where}: fits none of anyOf: {shown}"
    for name, (kind, keeps) in BOUNDS.items():
        if (
            name in schema
            and isinstance(value, kind)
            and type_name(value) is not bool
            and not keeps(value, schema[name])
        ):
            yield f"{where}: {name} is {schema[name]}: {shown}"
    if isinstance(value, dict):
        yield from object_errors(value, schema, root, place)
    if isinstance(value, list) and "items" in schema:
        for at, item in enumerate(value):
            yield from iter_errors(item, schema["items"], root, f"{place}[{at}]")


def object_errors(value: dict[str, Any], schema: Schema, root: Schema, place: str) -> Iterator[str]:
    known = schema.get("properties", {})
    missing = [name for name in schema.get("required", ()) if name not in value]
    unknown = (
        [name for name in value if name not in known]
        if schema.get("additionalProperties") is False
        else []
    )
    for what, names in (("missing", missing), ("unknown", unknown)):
        if names:
            yield f"{place.lstrip('.') or 'the top'}: {what} {', '.join(names)}"
    for name, shape in known.items():
        if name in value:
            yield from iter_errors(value[name], shape, root, f"{place}.{name}")


def matches_type(value: Any, name: str) -> bool:
    if name == "integer" and isinstance(value, float):
        return value.is_integer()  # 1.0 is one (JSON Schema, 6.1.1)
    return isinstance(value, TYPES.get(name, ())) and (
        name == "boolean" or type_name(value) is not bool
    )


def type_name(value: Any) -> Any:
    """bool, or anything else: 1 == True in Python only."""
    return bool if isinstance(value, bool) else None
