"""A JSON value against a JSON schema."""

from typing import Any

import pytest

from rawchat.schema.validate import first_error

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
            "required": ["children"],
        }
    },
    "$ref": "#/$defs/node",
}


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        ({"name": "Ann", "age": 7}, PERSON),
        ({"name": "", "age": 7.0}, PERSON),
        ([], {"type": ["array", "null"]}),
        (None, {"type": ["array", "null"]}),
        (1.5, {"type": "number"}),
        (1, {"type": "number"}),
        (True, {"type": "boolean"}),
        ("b", {"enum": ["a", "b"]}),
        (1, {"enum": [1, 2]}),
        (None, {"const": None}),
        ({"children": [{"children": []}]}, TREE),
        (3, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("ab", {"minLength": 2, "maxLength": 2, "pattern": "^a"}),
        ([1], {"minItems": 1, "maxItems": 1}),
        (2, {"minimum": 2, "maximum": 2, "multipleOf": 2}),
        (0.3, {"multipleOf": 0.1, "exclusiveMinimum": 0}),
        ("whatever", {}),
        ({"x": 1}, {"type": "object"}),
        ("x", {"$defs": {"a/b~": {"type": "string"}}, "$ref": "#/$defs/a~1b~0"}),
    ],
)
def test_what_fits(value: Any, schema: Any) -> None:
    assert first_error(value, schema) is None


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        ({"name": "Ann", "age": "7"}, PERSON, "age: not integer: '7'"),
        ({"name": "Ann"}, PERSON, "the top: missing age"),
        ({"name": "Ann", "age": 7, "x": 1, "y": 2}, PERSON, "the top: unknown x, y"),
        ([], PERSON, "the top: not object: []"),
        ({"name": "Ann", "age": 7.5}, PERSON, "age: not integer: 7.5"),
        ({"name": "Ann", "age": True}, PERSON, "age: not integer: True"),
        (1, {"type": "boolean"}, "the top: not boolean: 1"),
        (1, {"type": ["string", "null"]}, "the top: not string or null: 1"),
        (None, {"type": "object"}, "not object: None"),
        (True, {"enum": [1, 2]}, "the top: not one of 1, 2: True"),
        (1, {"const": True}, "not one of True: 1"),
        ({"children": [{"children": []}, {}]}, TREE, "children[1]: missing children"),
        (None, {"anyOf": [{"type": "string"}, {"type": "integer"}]}, "fits none of anyOf: None"),
        ("", {"minLength": 1}, "the top: minLength is 1: ''"),
        ("abc", {"maxLength": 2}, "maxLength is 2"),
        ("b", {"pattern": "^a"}, "pattern is ^a: 'b'"),
        ([], {"minItems": 1}, "minItems"),
        ([1, 2], {"maxItems": 1}, "maxItems"),
        (1, {"minimum": 2}, "minimum is 2"),
        (3, {"maximum": 2}, "maximum is 2"),
        (2, {"exclusiveMinimum": 2}, "exclusive"),
        (2, {"exclusiveMaximum": 2}, "exclusiveMaximum is 2"),
        (3, {"multipleOf": 2}, "multipleOf is 2: 3"),
        ("x", {"type": "strange"}, "not strange"),
        ("x", {"pattern": "("}, "cannot be checked"),
        ("x", {"minLength": "1"}, "cannot be checked"),
        (1, {"multipleOf": 0}, "cannot be checked"),
        ("x", {"$ref": "#/nowhere"}, "cannot be checked"),
        ("x", {"$ref": "elsewhere.json"}, "cannot be checked"),
        ("x", {"$ref": "#"}, "cannot be checked: RecursionError"),
    ],
)
def test_what_does_not_fit_is_told_with_its_place(value: Any, schema: Any, said: str) -> None:
    told = first_error(value, schema)
    assert told is not None
    assert said in told
