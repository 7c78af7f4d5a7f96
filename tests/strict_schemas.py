"""The strict schemas that the official SDK sends for ten shapes, as data: tests/strict_schemas.json.

    python -m tests.strict_schemas          (with openai 3.52.0 and pydantic installed)

`tests/test_schema.py` has the same shapes for rawchat, by the same names.
"""
import enum
import json
import pathlib
import sys
from typing import Any, Literal, Optional, Union

DATA = pathlib.Path(__file__).with_suffix(".json")


def shapes() -> dict[str, Any]:
    """Ten pydantic models by name."""
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

    models = [CalendarEvent, MathReasoning, Review, Node, Email, Customer, Drawing, Game, Person, Odd]
    return {model.__name__: model for model in models}


def main() -> None:
    """Write the data, with the versions that it comes from."""
    import openai
    import pydantic
    from openai.lib._pydantic import to_strict_json_schema
    schemas = {name: to_strict_json_schema(model) for name, model in shapes().items()}
    made_by = f"openai {openai.__version__}, pydantic {pydantic.__version__}, Python {sys.version.split()[0]}"
    DATA.write_text(json.dumps({"made_by": made_by, "schemas": schemas}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
