"""What --schema means: a schema in a file, as JSON, or in a short form.

>>> parse_shorthand("name, age int, likes str[]: what they like")["properties"]["likes"]
{'type': 'array', 'items': {'type': 'string'}, 'description': 'what they like'}
"""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

from ..schema import strict
from ..schema.validate import resolve_ref
from .inputs import UsageError, read_file

TYPE_NAMES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}


FIELD_PATTERN = re.compile(r"(\w+)(?:\s+(str|int|float|bool))?(\s*\[\])?\s*(?::\s*(\S.*))?")


def parse_schema_arg(given: str) -> dict[str, Any]:
    """The strict schema for the value of --schema.  A file is one by its name, or after an @.

    Raises UsageError for what is no schema, or cannot be a strict one.
    """
    named = given.endswith(".json") or os.path.isfile(given)
    path = given[1:] if given.startswith("@") else given if named else None
    text = (read_file(path) if path is not None else given).strip()
    if text[:1] != "{" and not given.endswith(".json"):
        return parse_shorthand(text)
    try:
        whole = json.loads(text)
        found = strict(whole, whole)
        for ref in iter_refs(found):
            resolve_ref(ref, found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{path or '--schema'}: not a JSON schema that can be strict: {error}"
        ) from None
    if not found.keys() & {"type", "properties", "anyOf", "$ref", "enum"}:
        raise UsageError(f"{path or '--schema'}: not a JSON schema: it has no type")
    return found


def parse_shorthand(text: str) -> dict[str, Any]:
    """The schema of an object: 'name [type] [: description]', separated by commas, or each on a line of its own.

    Types are str (if there is none), int, float and bool; [] after it makes a list.
    """
    lines = text.splitlines() if "\n" in text else text.split(",")
    fields = [parse_field(line.strip()) for line in lines if line.strip()]
    properties = dict(fields)
    if not properties:
        raise UsageError("--schema: there is no name in it")
    if len(properties) < len(fields):
        raise UsageError("--schema: there is a name in it twice")
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def parse_field(text: str) -> tuple[str, dict[str, Any]]:
    """The name and the schema of one field."""
    match = FIELD_PATTERN.fullmatch(text)
    if not match:
        raise UsageError(
            f"--schema: {text!r} is not 'name [type] [: description]'; types are {', '.join(TYPE_NAMES)}, "
            "and [] for a list"
        )
    name, kind, many, description = match.groups()
    shape: dict[str, Any] = {"type": TYPE_NAMES[kind or "str"]}
    if many:
        shape = {"type": "array", "items": shape}
    return name, {**shape, **({"description": description} if description else {})}


def iter_refs(node: Any) -> Iterator[str]:
    """Every $ref in a schema."""
    if isinstance(node, dict) and isinstance(node.get("$ref"), str):
        yield node["$ref"]
    for value in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from iter_refs(value)
