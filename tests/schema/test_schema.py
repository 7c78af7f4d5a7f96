"""Types to strict schemas, as the SDK makes them, and JSON back to instances."""

import dataclasses
import json
import sys
from dataclasses import dataclass, field
from typing import Annotated, Any, Callable, Literal, Optional, TypedDict, Union

import pytest

from rawchat import schema
from rawchat.schema import build
from rawchat.schema.build import MismatchError

from ..parity.as_dataclasses import (
    SHAPES,
    Address,
    CalendarEvent,
    Customer,
    Drawing,
    Game,
    Level,
    Node,
    Review,
    Severity,
    Square,
)
from ..parity.scenario import untitled
from ..parity.typed import RECORD

row = pytest.mark.row


class Mail(TypedDict):
    sender: Annotated[str, "The address it came from"]
    subject: Annotated[Optional[str], "None if there is none"]


@row("7.1")
@pytest.mark.parametrize("name", SHAPES)
def test_ten_shapes_are_what_the_sdk_sends(name: str) -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    assert list(recorded) == list(SHAPES)
    assert untitled(schema.response_format(SHAPES[name])) == recorded[name]


def test_required_follows_the_order_of_the_fields() -> None:
    made = schema.schema(Review)
    assert (
        made["required"] == list(made["properties"]) == ["flagged", "severity", "category", "score"]
    )


@row("7.1")
def test_a_typed_dict_is_an_object_too() -> None:
    assert schema.schema(Mail) == {
        "type": "object",
        "additionalProperties": False,
        "required": ["sender", "subject"],
        "properties": {
            "sender": {"type": "string", "description": "The address it came from"},
            "subject": {
                "anyOf": [{"type": "string"}, {"type": "null"}],
                "description": "None if there is none",
            },
        },
    }


@row("7.1")
@pytest.mark.parametrize("kind", [list[int], Severity, Literal["a", "b"], Optional[Address]])
def test_what_is_no_object_is_wrapped_in_one(kind: Any) -> None:
    sent = schema.response_format(kind)["json_schema"]
    assert (sent["name"], sent["strict"], sent["schema"]["required"]) == ("Answer", True, ["value"])


@row("7.1")
def test_the_name_holds_only_what_the_api_takes() -> None:
    kind = dataclasses.make_dataclass("Größe" + "x" * 80, [("a", int)])
    name = schema.response_format(kind)["json_schema"]["name"]
    assert name == "Gr__e" + "x" * 59


class Opened:
    pass


@row("7.2")
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (dict, "dict"),
        (dict[str, int], "dict"),
        (set[int], "set"),
        (tuple[int, str], "tuple"),
        (Any, "Any"),
        (list, "list"),
        (Opened, "Opened"),
        (bytes, "bytes"),
        (Callable[[], int], "Callable"),
        (Literal[b"x"], "Enum and Literal values"),
    ],
)
def test_what_a_strict_schema_cannot_hold_is_refused_with_its_place(kind: Any, told: str) -> None:
    broken = dataclasses.make_dataclass("Broken", [("inner", Optional[kind])])
    with pytest.raises(TypeError, match=rf"Broken\.inner: .*{told}"):
        schema.schema(broken)


def test_two_types_of_one_name_are_refused() -> None:
    other = dataclasses.make_dataclass("Address", [("planet", str)])
    both = dataclasses.make_dataclass("Both", [("one", Address), ("two", other)])
    with pytest.raises(TypeError, match="two types are called Address"):
        schema.schema(both)


def test_a_reference_in_quotes_inside_a_list_is_explained_or_works() -> None:
    @dataclass
    class Tree:
        kids: list["Tree"]

    if sys.version_info >= (3, 11):
        assert schema.schema(Tree)["$defs"]
    else:
        with pytest.raises(TypeError, match=r'quote the whole annotation: "list\[Tree\]"'):
            schema.schema(Tree)


def test_a_described_reference_to_a_type_within_itself_ends() -> None:
    node = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/N", "description": "the next"}},
    }
    root = {"$ref": "#/$defs/N", "$defs": {"N": node}}
    inner = schema.strict(root, root)["properties"]["next"]
    assert inner == {"$ref": "#/$defs/N"}


class PydanticLike:
    """What rawchat uses of a pydantic model."""

    made: dict[str, Any]

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return cls.made

    @classmethod
    def model_validate_json(cls, text: str) -> Any:
        if "bad" in text:
            raise ValueError("1 validation error: bad")
        return ("built", text)


def like(**made: Any) -> Any:
    return type("Like", (PydanticLike,), {"made": {"type": "object", **made}})


@row("7.4")
def test_a_pydantic_model_is_made_strict_and_builds_itself() -> None:
    kind = like(
        title="Like",
        properties={
            "a": {"allOf": [{"$ref": "#/$defs/B"}], "description": "old pydantic"},
            "b": {"type": "string", "default": None},
        },
        **{"$defs": {"B": {"type": "object", "properties": {"c": {"type": "integer"}}}}},
    )
    made = schema.response_format(kind)["json_schema"]["schema"]
    assert made["additionalProperties"] is made["$defs"]["B"]["additionalProperties"] is False
    assert made["properties"] == {
        "b": {"type": "string"},
        "a": {
            "type": "object",
            "properties": {"c": {"type": "integer"}},
            "required": ["c"],
            "additionalProperties": False,
            "description": "old pydantic",
        },
    }
    assert made["required"] == ["a", "b"]
    assert build.parse_json(kind, '```json\n{"a": 1}\n```') == ("built", '{"a": 1}\n')
    with pytest.raises(MismatchError, match="1 validation error"):
        build.parse_json(kind, "bad")


@row("7.2")
@pytest.mark.parametrize(
    "part",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object", "additionalProperties": True},
        {},
        {"title": "Any"},
        {"type": "array", "prefixItems": []},
        {"type": "array", "uniqueItems": True},
    ],
)
def test_a_pydantic_model_that_is_not_strict_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="strict"):
        schema.schema(like(properties={"a": {"anyOf": [{"type": "array", "items": part}]}}))


@row("7.3")
@pytest.mark.parametrize(
    ("kind", "text", "built"),
    [
        (
            CalendarEvent,
            '{"name": "Fair", "date": "Friday", "participants": []}',
            CalendarEvent("Fair", "Friday", []),
        ),
        (Mail, '{"sender": "a@b", "subject": null}', {"sender": "a@b", "subject": None}),
        (
            Review,
            '{"flagged": true, "severity": "high", "category": "sexual", "score": 1}',
            Review(True, Severity.HIGH, "sexual", 1.0),
        ),
        (Review, '{"flagged": true, "severity": "low"}', Review(True, Severity.LOW)),
        (Node, '{"value": 1, "children": [{"value": 2, "children": []}]}', Node(1, [Node(2, [])])),
        (
            Drawing,
            '{"shapes": [{"kind": "square", "side": 2.5}]}',
            Drawing([Square("square", 2.5)]),
        ),
        (
            Customer,
            '{"home": {"street": "s", "zip": "1A"}, "work": null}',
            Customer(Address("s", "1A")),
        ),
        (Game, '{"level": 2, "rows": [[true, null], []]}', Game([[True, None], []], Level.TWO)),
        (list[int], '{"value": [1, 2]}', [1, 2]),
        (Severity, '{"value": "low"}', Severity.LOW),
        (Literal["a", 1], '{"value": 1}', 1),
        (Optional[Address], '{"value": null}', None),
        (
            CalendarEvent,
            ' ```JSON\n{"name": "a", "date": "b", "participants": []}\n``` ',
            CalendarEvent("a", "b", []),
        ),
        (Mail, '```\n{"sender": "a", "subject": "```"}\n```', {"sender": "a", "subject": "```"}),
    ],
)
def test_json_that_fits_becomes_an_instance(kind: Any, text: str, built: Any) -> None:
    made = build.parse_json(kind, text)
    assert made == built
    assert type(made) is type(built)


def test_numbers_come_back_as_their_type() -> None:
    assert type(build.build(float, 1)) is float
    assert build.build(Union[int, float], 1.5) == 1.5
    assert [type(build.build(Union[int, str], value)) for value in (1, "1")] == [int, str]


@dataclass
class Checked:
    percent: int
    tags: list[str] = field(default_factory=list)
    made: int = field(init=False, default=3)

    def __post_init__(self) -> None:
        if self.percent > 100:
            raise ValueError("over 100")


@row("7.3")
@pytest.mark.parametrize(
    ("kind", "text", "told"),
    [
        (CalendarEvent, "", "not JSON"),
        (CalendarEvent, "[" * 100_000, "not JSON"),
        (float, '{"value": NaN}', "NaN"),
        (CalendarEvent, 'Here it is: {"name": "Fair"}', "not JSON"),
        (CalendarEvent, "[]", r"the top: not an object: \[\]"),
        (CalendarEvent, "null", "not an object"),
        (Mail, '{"sender": "a"}', "missing subject"),
        (CalendarEvent, '{"name": "Fair"}', "the top: missing date, participants"),
        (Mail, '{"sender": "a", "subject": null, "x": 1}', "the top: unknown x"),
        (
            CalendarEvent,
            '{"name": "F", "date": "d", "participants": ["a", 1]}',
            r"participants\[1\]: not str: 1",
        ),
        (
            CalendarEvent,
            '{"name": "F", "date": "d", "participants": "a"}',
            r"participants: not list\S*: 'a'",
        ),
        (
            Node,
            '{"value": 1, "children": [{"value": true, "children": []}]}',
            r"children\[0\].value: not int: True",
        ),
        (Node, '{"value": 1.5, "children": []}', "value: not int: 1.5"),
        (Severity, '{"value": "mid"}', "value: not Severity"),
        (Level, '{"value": true}', "not Level: True"),
        (Literal["a", 1], '{"value": true}', "not Literal"),
        (
            Customer,
            '{"home": {"street": "s", "zip": 1}, "work": {"street": 1, "zip": 1}}',
            "work.street: not str",
        ),
        (Drawing, '{"shapes": [{"kind": "circle", "side": 1}]}', r"shapes\[0\]: not Union"),
        (Checked, '{"percent": 101}', "the top: over 100"),
        (Optional[int], '{"value": "1"}', "value: not int"),
        (int, '{"value": null}', "value: not int: None"),
        (float, '{"value": 1e999}', "value: not float: inf"),
        (float, '{"value": 1' + "0" * 400 + "}", "value: not float: 1000"),
        (Node, '{"value": 1, "children": [' * 400 + "]}" * 400, "nested too deeply|not JSON"),
        (CalendarEvent, '```json\n{"name": 1}\n``` and that is it', "not JSON"),
    ],
)
def test_json_that_does_not_fit_is_refused_with_its_place(kind: Any, text: str, told: str) -> None:
    with pytest.raises(MismatchError, match=told):
        build.parse_json(kind, text)


def test_a_default_may_be_left_out_and_a_field_that_is_not_given_is_not_asked_for() -> None:
    assert build.parse_json(Checked, '{"percent": 5}') == Checked(5)
    assert list(schema.schema(Checked)["properties"]) == ["percent", "tags"]
    assert "default" not in schema.schema(Checked)["properties"]["tags"]


def forecast(
    city: str,
    days: Annotated[int, "how many"] = 3,
    *,
    unit: Literal["C", "F"] = "C",
    where: Optional[Address] = None,
) -> str:
    """The weather.

    :param city: its name
    days: not this one
    unit (str): Celsius or Fahrenheit
    """
    return f"{city} {days} {unit} {where}"


def test_a_functions_signature_and_docstring_are_a_schema() -> None:
    made = schema.schema(forecast)
    assert made["required"] == ["city", "days", "unit", "where"]
    assert made["properties"]["city"] == {"type": "string", "description": "its name"}
    assert made["properties"]["unit"] == {
        "enum": ["C", "F"],
        "type": "string",
        "description": 'Celsius or Fahrenheit (default: "C")',
    }
    assert made["properties"]["days"] == {
        "type": "integer",
        "description": "how many (default: 3)",
    }
    assert made["properties"]["where"] == {"anyOf": [{"$ref": "#/$defs/Address"}, {"type": "null"}]}


SEVERE = Review(True, Severity.HIGH)


def report(review: Review = SEVERE, levels: list[Level] = [Level.ONE]) -> None: ...  # noqa: B006


@dataclasses.dataclass
class Trip:
    """A way to travel."""

    to: str = "Paris"
    default: bool = False


HOME = Trip("Rome")


def book(trip: Trip = HOME, other: Optional[Trip] = None, note: str = "é") -> None: ...


def test_the_defaults_of_a_function_stand_in_descriptions_as_json_has_them() -> None:
    made = schema.schema(report)["properties"]
    assert made["review"]["description"] == (
        '(default: {"flagged": true, "severity": "high", "category": null, "score": 0.5})'
    )
    assert made["levels"]["description"] == "(default: [1])"
    made = schema.schema(book)
    assert made["properties"]["trip"]["description"] == (
        'A way to travel. (default: {"to": "Rome", "default": false})'
    )
    assert made["properties"]["note"] == {"type": "string", "description": '(default: "é")'}
    assert made["$defs"]["Trip"]["properties"] == {
        "to": {"type": "string", "description": '(default: "Paris")'},
        "default": {"type": "boolean", "description": "(default: false)"},
    }
    assert schema.schema(Trip)["properties"]["to"] == {"type": "string", "default": "Paris"}


def nameless(*args: int) -> None: ...
def loose(**kwargs: int) -> None: ...
def bare(city) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize("function", [nameless, loose, bare])
def test_a_function_without_names_and_types_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{function.__name__}\(\): .* needs a name and a type"):
        schema.schema(function)
