"""Read the value of --schema: a JSON schema in a file or as text, or a short form.

>>> parse_shorthand("name, age int, likes str[]: what they like")["properties"]["likes"]
{'type': 'array', 'items': {'type': 'string'}, 'description': 'what they like'}
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any, Optional

from ..schema import strict
from ..schema.validate import resolve_ref
from .inputs import UsageError, read_file

Schema = dict[str, Any]

TYPE_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
FIELD_PATTERN = re.compile(r"(\w+)(?:\s+(str|int|float|bool))?(\s*\[\])?\s*(?::\s*(\S.*))?")
# One of these says what a schema describes.
TYPE_KEYWORDS = {"type", "properties", "anyOf", "$ref", "enum"}


def parse_schema_arg(value: str) -> Schema:
    """Return the strict schema for the value of --schema.

    The value names a file if it begins with @, ends in .json, or a file of that name exists.  Raises UsageError for
    a value that is not a schema, or cannot be a strict one.
    """
    path = file_of(value)
    text = value
    if path is not None:
        text = read_file(path)
    text = text.strip()
    if text.startswith("{") or value.endswith(".json"):
        return parse_json_schema(text, path or "--schema")
    return parse_shorthand(text)


def file_of(value: str) -> Optional[str]:
    """Return the path that the value of --schema names, or None."""
    if value.startswith("@"):
        return value[1:]
    if value.endswith(".json") or os.path.isfile(value):
        return value
    return None


# ---- JSON


def parse_json_schema(text: str, source: str) -> Schema:
    """Return the strict schema for a JSON schema; `source` names it in the UsageError."""
    try:
        root = json.loads(text)
        schema = strict(root, root)
        for ref in iter_refs(schema):
            resolve_ref(ref, schema)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(f"{source}: not a JSON schema that can be strict: {error}") from None
    if not schema.keys() & TYPE_KEYWORDS:
        raise UsageError(f"{source}: not a JSON schema: it has no type")
    return schema


def iter_refs(node: Any) -> Iterator[str]:
    """Yield every $ref in a schema."""
    children: list[Any] = []
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        children = list(node.values())
    elif isinstance(node, list):
        children = node
    for child in children:
        yield from iter_refs(child)


# ---- the short form


def parse_shorthand(text: str) -> Schema:
    """Return the schema of an object: fields 'name [type] [: description]', separated by commas or line ends.

    Types are str (the default), int, float and bool; [] after one makes a list of it.
    """
    fields = text.split(",")
    if "\n" in text:
        fields = text.splitlines()
    properties: dict[str, Schema] = {}
    for field in fields:
        if not field.strip():
            continue
        name, schema = parse_field(field.strip())
        if name in properties:
            raise UsageError(f"--schema: the name {name} appears twice")
        properties[name] = schema
    if not properties:
        raise UsageError("--schema: there is no name in it")
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_field(text: str) -> tuple[str, Schema]:
    """Return the name and the schema of one field."""
    match = FIELD_PATTERN.fullmatch(text)
    if match is None:
        types = ", ".join(TYPE_NAMES)
        raise UsageError(
            f"--schema: {text!r} is not 'name [type] [: description]'; types are {types}, and [] "
            "for a list"
        )
    name, type_name, brackets, description = match.groups()
    schema: Schema = {"type": TYPE_NAMES[type_name or "str"]}
    if brackets:
        schema = {"type": "array", "items": schema}
    if description:
        schema["description"] = description
    return name, schema
