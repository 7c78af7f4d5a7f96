"""From a Python type to the JSON schema that a server holds a model to (strict); `typed` is the way back.

>>> @dataclasses.dataclass
... class Event:
...     name: str
...     people: list[str]
>>> schema(Event)["properties"]
{'name': {'type': 'string'}, 'people': {'type': 'array', 'items': {'type': 'string'}}}

Strict means: an object has exactly the named keys, all of them.  The schemas are those that the official SDK
(openai-python 3.52) sends for the same pydantic models, but for `title`.
"""

import dataclasses
import inspect
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from .fields import NO_DEFAULT, QUALIFIERS, UNIONS, fields, is_enum, is_object, to_jsonable

JSON_TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


Definitions = dict[Any, dict[str, Any]]  # the named types that a schema refers to, by type


def schema(kind: Any) -> dict[str, Any]:
    """The strict schema of a dataclass, a TypedDict, a function's parameters, or a pydantic model.

    Raises TypeError for what a strict schema cannot hold: open dicts, sets, tuples, Any.
    """
    if hasattr(kind, "model_json_schema"):
        whole: dict[str, Any] = kind.model_json_schema()
    else:
        defs: Definitions = {}
        whole = object_schema(kind, defs)
        if defs:
            whole["$defs"] = {known.__name__: body for known, body in defs.items()}
    return strict(whole, whole)


def response_format(kind: Any) -> dict[str, Any]:
    """The parameter `response_format` that asks for an instance of `kind`."""
    shape = as_object(kind)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", shape.__name__)[:64]
    return {
        "type": "json_schema",
        "json_schema": {"name": name, "schema": schema(shape), "strict": True},
    }


def as_object(kind: Any) -> Any:
    """`kind`, or a class with it as `value` where it is no object: the root of a strict schema must be one."""
    if is_object(kind) or hasattr(kind, "model_json_schema"):
        return kind
    return dataclasses.make_dataclass("Answer", [("value", kind)])


def object_schema(kind: Any, defs: Definitions) -> dict[str, Any]:
    """The schema of an object with the fields of `kind`."""
    properties = {}
    for name, hint, _, default, description in fields(kind):
        properties[name] = {
            **({"description": description} if description else {}),
            **type_schema(hint, defs, f"{kind.__name__}.{name}"),
            **({} if default is NO_DEFAULT else {"default": to_jsonable(default)}),
        }
    doc = (
        inspect.cleandoc(kind.__doc__ or "") if is_object(kind) else ""
    )  # a function's says what the tool does
    own = doc and not doc.startswith(f"{kind.__name__}(")  # else the one that @dataclass writes
    return {"type": "object", "properties": properties, **({"description": doc} if own else {})}


def type_schema(kind: Any, defs: Definitions, place: str) -> dict[str, Any]:
    """The schema of any type; named ones go into `defs`, which is what makes recursive ones finite."""
    origin, args = get_origin(kind), get_args(kind)
    if origin is Annotated:
        texts = [text for text in args[1:] if isinstance(text, str)]
        return {**type_schema(args[0], defs, place), **({"description": texts[0]} if texts else {})}
    if origin in UNIONS:
        return {"anyOf": [type_schema(arg, defs, place) for arg in args]}
    if origin is Literal:
        chosen = enum_schema(args, place)
        return {"const": chosen.pop("enum")[0], **chosen} if len(args) == 1 else chosen
    if origin is list and args:
        return {"type": "array", "items": type_schema(args[0], defs, place)}
    if getattr(origin, "_name", "") in QUALIFIERS:
        return type_schema(args[0], defs, place)
    if is_object(kind) or is_enum(kind):
        if kind not in defs:
            if any(known.__name__ == kind.__name__ for known in defs):
                raise TypeError(f"{place}: two types are called {kind.__name__}; rename one")
            defs[kind] = {}
            defs[kind] = (
                enum_schema([member.value for member in kind], place)
                if is_enum(kind)
                else object_schema(kind, defs)
            )
        return {"$ref": f"#/$defs/{kind.__name__}"}
    if isinstance(kind, type) and kind in JSON_TYPES:
        return {"type": JSON_TYPES[kind]}
    hint = f'; quote the whole annotation: "list[{kind}]"' if isinstance(kind, str) else ""
    raise TypeError(
        f"{place}: a strict schema cannot hold {getattr(kind, '__name__', kind)!s}{hint}"
    )


def enum_schema(values: Iterable[Any], place: str) -> dict[str, Any]:
    """The schema of a choice of values."""
    listed = list(values)
    if not all(type(value) in JSON_TYPES for value in listed):
        raise TypeError(f"{place}: a choice is of text, numbers, booleans or None")
    kinds = {JSON_TYPES[type(value)] for value in listed}
    return {"enum": listed, **({"type": kinds.pop()} if len(kinds) == 1 else {})}


def strict(
    node: Mapping[str, Any], root: Mapping[str, Any], inside: tuple[str, ...] = ()
) -> dict[str, Any]:
    """`node` of the schema `root` in strict form: objects closed, all keys required, a $ref alone.

    A $ref with a neighbour (a description) gives way to what it refers to; `inside` are those around this place,
    which stay, or a recursive type would not end.
    """
    node = dict(node)
    if len(node.get("allOf", ())) == 1:  # how pydantic before 2.9 writes a described $ref
        node.update(node.pop("allOf")[0])
    if node.get("default", NO_DEFAULT) is None:
        del node["default"]
    ref = node.get("$ref")
    if ref and len(node) > 1:
        del node["$ref"]
        target = root["$defs"][ref.rsplit("/", 1)[-1]]
        return {"$ref": ref} if ref in inside else strict({**target, **node}, root, (*inside, ref))
    if (
        not node.keys() - {"title", "description", "default"}
        or "prefixItems" in node
        or "uniqueItems" in node
        or node.get("additionalProperties")
    ):
        raise TypeError(
            f"a strict schema cannot hold an open dict, set, tuple or Any: {reprlib.repr(node)}"
        )
    if node.get("type") == "object":
        node["additionalProperties"] = False
    if "properties" in node:
        node["required"] = list(node["properties"])
    for name in ("properties", "$defs"):
        if name in node:
            node[name] = {key: strict(value, root, inside) for key, value in node[name].items()}
    if "items" in node:
        node["items"] = strict(node["items"], root, inside)
    if "anyOf" in node:
        node["anyOf"] = [strict(value, root, inside) for value in node["anyOf"]]
    return node
