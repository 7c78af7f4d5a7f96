"""Ten shapes of an answer as pydantic models, for the SDK; `as_dataclasses` has the same for rawchat."""

import enum
from typing import Any, Literal, Optional, Union

from pydantic import BaseModel, Field


class CalendarEvent(BaseModel):
    name: str
    date: str
    participants: list[str]


class Step(BaseModel):
    explanation: str
    output: str


class MathReasoning(BaseModel):
    """A worked solution."""

    steps: list[Step]
    final_answer: str


class Severity(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Review(BaseModel):
    flagged: bool
    category: Optional[Literal["violence", "sexual", "self_harm"]] = None
    severity: Severity
    score: float = 0.5


class Node(BaseModel):
    value: int
    children: list["Node"]


class Email(BaseModel):
    sender: str = Field(description="The address it came from")
    subject: Optional[str] = Field(description="None if there is none")
    urgent: bool = Field(default=False, description="Does it ask for an answer today?")


class Address(BaseModel):
    street: str
    zip: Union[int, str]


class Customer(BaseModel):
    home: Address = Field(description="Where bills go")
    work: Optional[Address] = None


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Drawing(BaseModel):
    shapes: list[Union[Circle, Square]]


class Level(enum.Enum):
    ONE = 1
    TWO = 2


class Game(BaseModel):
    level: Level = Level.ONE
    rows: list[list[Optional[bool]]]


class Person(BaseModel):
    """Somebody in a family."""

    name: str
    mother: Optional["Person"] = None
    friends: list["Person"]


class Only(enum.Enum):
    THIS = "this"


class Odd(BaseModel):
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
