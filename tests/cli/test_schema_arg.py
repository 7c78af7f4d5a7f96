"""What --schema means: a file, JSON, the short form; and what is none of them."""

import json
import pathlib
from typing import Any

import pytest

from rawchat.cli.inputs import UsageError
from rawchat.cli.schema_arg import parse_schema_arg


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING, INTEGER = {"type": "string"}, {"type": "integer"}
OPEN = {"type": "object", "properties": {"name": STRING, "age": INTEGER}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("name", closed(name=STRING)),
        ("name, age int", closed(name=STRING, age=INTEGER)),
        (
            "name str,age  int , ok bool,size float",
            closed(name=STRING, age=INTEGER, ok={"type": "boolean"}, size={"type": "number"}),
        ),
        (
            "likes str[], n int []",
            closed(likes={"type": "array", "items": STRING}, n={"type": "array", "items": INTEGER}),
        ),
        ("tags[]", closed(tags={"type": "array", "items": STRING})),
        (
            "name: of the pirate, age int: in years ",
            closed(
                name={**STRING, "description": "of the pirate"},
                age={**INTEGER, "description": "in years"},
            ),
        ),
        (
            "name: first, then last\nage int\n",
            closed(name={**STRING, "description": "first, then last"}, age=INTEGER),
        ),
        (" name ,, ", closed(name=STRING)),
        ("größe float", closed(größe={"type": "number"})),
        (json.dumps(OPEN), closed(name=STRING, age=INTEGER)),
        (f" {json.dumps(OPEN)}\n", closed(name=STRING, age=INTEGER)),
        ("person.json", closed(name=STRING, age=INTEGER)),
        ("short", closed(name=STRING, age=INTEGER)),
        ("@short", closed(name=STRING, age=INTEGER)),
        ("@person.json", closed(name=STRING, age=INTEGER)),
    ],
)
def test_a_schema_is_a_file_json_or_short(given: str, expected: Any) -> None:
    pathlib.Path("person.json").write_text("\ufeff" + json.dumps(OPEN), encoding="utf-8")
    pathlib.Path("short").write_text("name\nage int\n", encoding="utf-8")
    assert parse_schema_arg(given) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "--schema: there is no name in it"),
        (", ,", "there is no name"),
        ("a int, a", "--schema: the name a appears twice"),
        (
            "age number",
            "--schema: 'age number' is not 'name [type] [: description]'; types are str, int, float, bool",
        ),
        ("a b c", "'a b c' is not"),
        ("first name", "'first name' is not"),
        ("x int[][]", "is not"),
        ("missing.json", "missing.json: No such file"),
        ("@missing", "missing: No such file"),
        ("{", "--schema: not a JSON schema that can be strict"),
        ('{"a": 1}', "--schema: not a JSON schema: it has no type"),
        ("{}", "--schema: not a JSON schema"),
        ("bad.json", "bad.json: not a JSON schema that can be strict"),
        ('{"type": "object", "properties": []}', "can be strict"),
        ('{"type": "array", "items": 3}', "can be strict"),
        (
            '{"type": "object", "properties": {"x": {}}}',
            "cannot hold an open dict, set, tuple or Any",
        ),
        ('{"type": "object", "additionalProperties": true}', "open dict"),
        ('{"type": "object", "properties": {"x": {"$ref": "#/$defs/no"}}}', "can be strict"),
        ('{"type": "array", "items": ' * 2000, "can be strict"),
    ],
)
def test_what_is_no_schema_is_told(given: str, said: str) -> None:
    pathlib.Path("bad.json").write_text("[1", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        parse_schema_arg(given)
    assert said in str(caught.value)
