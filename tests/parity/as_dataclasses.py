"""Ten shapes of an answer as dataclasses, for rawchat; `as_models` has the same for the SDK, by the same names.

A field with a default comes last in a dataclass: what is required stands in another order than in a model.
"""

import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional, Union


@dataclass
class CalendarEvent:
    name: str
    date: str
    participants: list[str]


@dataclass
class Step:
    explanation: str
    output: str


@dataclass
class MathReasoning:
    """A worked solution."""

    steps: list[Step]
    final_answer: str


class Severity(enum.Enum):
    LOW = "low"
    HIGH = "high"


@dataclass
class Review:
    flagged: bool
    severity: Severity
    category: Optional[Literal["violence", "sexual", "self_harm"]] = None
    score: float = 0.5


@dataclass
class Node:
    value: int
    children: "list[Node]"


@dataclass
class Email:
    sender: Annotated[str, "The address it came from"]
    subject: Annotated[Optional[str], "None if there is none"]
    urgent: Annotated[bool, "Does it ask for an answer today?"] = False


@dataclass
class Address:
    street: str
    zip: Union[int, str]


@dataclass
class Customer:
    home: Annotated[Address, "Where bills go"]
    work: Optional[Address] = None


@dataclass
class Circle:
    kind: Literal["circle"]
    radius: float


@dataclass
class Square:
    kind: Literal["square"]
    side: float


@dataclass
class Drawing:
    shapes: list[Union[Circle, Square]]


class Level(enum.Enum):
    ONE = 1
    TWO = 2


@dataclass
class Game:
    rows: list[list[Optional[bool]]]
    level: Level = Level.ONE


@dataclass
class Person:
    """Somebody in a family."""

    name: str
    friends: "list[Person]"
    mother: Optional["Person"] = None


class Only(enum.Enum):
    THIS = "this"


@dataclass
class Odd:
    properties: str
    only: Only
    mixed: Literal["a", 1]


SHAPES: dict[str, Any] = {
    shape.__name__: shape
    for shape in (
        CalendarEvent,
        MathReasoning,
        Review,
        Node,
        Email,
        Customer,
        Drawing,
        Game,
        Person,
        Odd,
    )
}
