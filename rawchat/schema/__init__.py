"""Make the strict JSON schema of a Python type, to which a server holds a model; `build` is the way back.

>>> @dataclasses.dataclass
... class Event:
...     name: str
...     people: list[str]
>>> schema(Event)["properties"]
{'name': {'type': 'string'}, 'people': {'type': 'array', 'items': {'type': 'string'}}}

Strict means that an object has exactly the named keys, all of them.  The schemas are those that the official SDK
(openai-python 3.52) sends for the same pydantic models, except for `title`.  The default of a function's parameter
stands in its description: OpenAI's API has refused `default` in strict schemas of tools.
"""

import dataclasses
import inspect
import json
import re
import reprlib
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

from ..wire.json_text import Added
from .fields import (
    NO_DEFAULT,
    QUALIFIERS,
    UNIONS,
    Field,
    fields,
    is_enum,
    is_object,
    is_pydantic,
    to_jsonable,
)

JSON_TYPES: dict[Any, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
}

MAX_NAME = 64  #: characters in the name of a schema (OpenAI's API reference)

Schema = dict[str, Any]

Definitions = dict[Any, Schema]  # the named types that a schema refers to, by type


# --- what a request carries


def schema(type_: Any) -> Schema:
    """Return the strict schema of a dataclass, a TypedDict, a function's parameters, or a pydantic model.

    Raises TypeError for what a strict schema cannot hold: open dicts, sets, tuples, Any.
    """
    if is_pydantic(type_):
        root = type_.model_json_schema()
        return strict(root, root)
    definitions: Definitions = {}
    root = object_schema(type_, definitions)
    if definitions:
        root["$defs"] = {named.__name__: body for named, body in definitions.items()}
    if not is_object(type_):
        describe_defaults(root)
    return strict(root, root)


def response_format(type_: Any) -> dict[str, Any]:
    """Return the parameter `response_format` that asks for an instance of `type_`; raise TypeError as `schema` does."""
    object_type = as_object(type_)
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", object_type.__name__)
    json_schema = {"name": name[:MAX_NAME], "schema": schema(object_type), "strict": True}
    return Added({"type": "json_schema", "json_schema": json_schema})


def as_object(type_: Any) -> Any:
    """Return `type_` if it is an object, else a class with it as `value`: the root of a strict schema is an object."""
    if is_object(type_) or is_pydantic(type_):
        return type_
    return dataclasses.make_dataclass("Answer", [("value", type_)])


# --- from a type to its schema


def object_schema(type_: Any, definitions: Definitions) -> Schema:
    """Return the schema of an object with the fields of `type_`."""
    properties = {}
    for field in fields(type_):
        place = f"{type_.__name__}.{field.name}"
        properties[field.name] = field_schema(field, definitions, place)
    result: Schema = {"type": "object", "properties": properties}
    # The docstring of a function describes the tool, not its parameters.
    if is_object(type_):
        doc = inspect.cleandoc(type_.__doc__ or "")
        written_by_dataclass = doc.startswith(f"{type_.__name__}(")
        if doc and not written_by_dataclass:
            result["description"] = doc
    return result


def field_schema(field: Field, definitions: Definitions, place: str) -> Schema:
    """Return the schema of a field; a description in its type wins over the one in a docstring."""
    result: Schema = {}
    if field.description:
        result["description"] = field.description
    result.update(type_schema(field.type, definitions, place))
    if field.default is not NO_DEFAULT:
        result["default"] = to_jsonable(field.default)
    return result


def type_schema(type_: Any, definitions: Definitions, place: str) -> Schema:
    """Return the schema of any type; raise TypeError, with `place`, for what a strict schema cannot hold."""
    origin = get_origin(type_)
    args = get_args(type_)
    if origin is Annotated:
        result = type_schema(args[0], definitions, place)
        texts = [text for text in args[1:] if isinstance(text, str)]
        if texts:
            result["description"] = texts[0]
        return result
    if origin in UNIONS:
        return {"anyOf": [type_schema(arg, definitions, place) for arg in args]}
    if origin is Literal:
        return literal_schema(args, place)
    if origin is list and args:
        return {"type": "array", "items": type_schema(args[0], definitions, place)}
    if getattr(origin, "_name", "") in QUALIFIERS:
        return type_schema(args[0], definitions, place)
    if is_object(type_) or is_enum(type_):
        return reference(type_, definitions, place)
    if isinstance(type_, type) and type_ in JSON_TYPES:
        return {"type": JSON_TYPES[type_]}
    failure = f"{place}: a strict schema cannot hold {getattr(type_, '__name__', type_)!s}"
    if isinstance(type_, str):
        # Before Python 3.11, get_type_hints does not resolve list["Node"].
        failure += f'; quote the whole annotation: "list[{type_}]"'
    raise TypeError(failure)


def reference(type_: Any, definitions: Definitions, place: str) -> Schema:
    """Return a $ref to an object or Enum, and add that to `definitions`: this makes recursive types finite."""
    name = type_.__name__
    if type_ not in definitions:
        if any(known.__name__ == name for known in definitions):
            raise TypeError(f"{place}: two types are called {name}; rename one")
        # Reserved first: the type may refer to itself.
        definitions[type_] = {}
        if is_enum(type_):
            definitions[type_] = enum_schema([member.value for member in type_], place)
        else:
            definitions[type_] = object_schema(type_, definitions)
    return {"$ref": f"#/$defs/{name}"}


def literal_schema(values: tuple[Any, ...], place: str) -> Schema:
    """Return the schema of a Literal: `const` for a single value, as pydantic writes it."""
    result = enum_schema(values, place)
    if len(values) == 1:
        del result["enum"]
        return {"const": values[0], **result}
    return result


def enum_schema(values: Iterable[Any], place: str) -> Schema:
    """Return the schema of a choice of values; raise TypeError, with `place`, for one that JSON does not have."""
    choices = list(values)
    for value in choices:
        if type(value) not in JSON_TYPES:
            raise TypeError(
                f"{place}: Enum and Literal values must be str, int, float, bool or None"
            )
    result: Schema = {"enum": choices}
    types = {JSON_TYPES[type(value)] for value in choices}
    if len(types) == 1:
        result["type"] = types.pop()
    return result


def describe_defaults(root: Schema) -> None:
    """Move every default in the schema of a function's parameters into the description of its property.

    gpt-4o-2024-08-06 refused a strict tool with a `default` (instructor issue 1074), and so did Azure
    (openai-agents-python issue 4390).  A model still has to know the value, as every property is required.
    """
    definitions = root.get("$defs", {})
    for node in (root, *definitions.values()):
        for described in node.get("properties", {}).values():
            default = described.pop("default", None)
            if default is None:
                continue
            # A description beside a $ref replaces that of its target.
            target = definitions.get(described.get("$ref", "").rpartition("/")[2], {})
            text = described.get("description") or target.get("description", "")
            shown = json.dumps(default, ensure_ascii=False)
            described["description"] = f"{text} (default: {shown})".lstrip()


# --- from any schema to a strict one


def strict(
    node: Mapping[str, Any], root: Mapping[str, Any], enclosing: tuple[str, ...] = ()
) -> Schema:
    """Return `node` of the schema `root` in strict form: objects closed, all keys required, each $ref alone.

    A $ref with a neighbour (a description) is replaced by what it refers to, except inside itself, where the bare
    $ref stays, or a recursive type would not end; `enclosing` are the references that were replaced around `node`.
    Raises TypeError for an open dict, a set, a tuple or Any.
    """
    node = dict(node)
    # pydantic before 2.9 writes a described $ref in this way.
    if len(node.get("allOf", ())) == 1:
        node.update(node.pop("allOf")[0])
    if node.get("default", NO_DEFAULT) is None:
        del node["default"]
    ref = node.get("$ref")
    if ref and len(node) > 1:
        if ref in enclosing:
            return {"$ref": ref}
        del node["$ref"]
        target = root["$defs"][ref.rsplit("/", 1)[-1]]
        return strict({**target, **node}, root, (*enclosing, ref))
    if is_open(node):
        shown = reprlib.repr(node)
        raise TypeError(f"a strict schema cannot hold an open dict, set, tuple or Any: {shown}")
    if node.get("type") == "object":
        node["additionalProperties"] = False
    if "properties" in node:
        node["required"] = list(node["properties"])
    for name in ("properties", "$defs"):
        if name in node:
            node[name] = {key: strict(value, root, enclosing) for key, value in node[name].items()}
    if "items" in node:
        node["items"] = strict(node["items"], root, enclosing)
    if "anyOf" in node:
        node["anyOf"] = [strict(value, root, enclosing) for value in node["anyOf"]]
    return node


def is_open(node: Mapping[str, Any]) -> bool:
    """Return whether a schema allows what strict ones cannot: anything, a tuple, a set, or a dict of any keys."""
    if not node.keys() - {"title", "description", "default"}:
        return True
    return "prefixItems" in node or "uniqueItems" in node or bool(node.get("additionalProperties"))
