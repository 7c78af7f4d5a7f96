"""Typed answers: the schema that is sent for each of ten shapes, and the instance that its JSON becomes.

Each side asks with its own form of the shape.  `RECORD` keeps what the SDK sent, so that tests without it can tell.
"""

import pathlib

from tests.server import answer, completion

from .scenario import HI, Scenario, call

RECORD = pathlib.Path(__file__).with_name("schemas.json")
ANSWERS = {
    "CalendarEvent": '{"name": "Fair", "date": "Friday", "participants": ["Ann", "Bob"]}',
    "MathReasoning": '{"steps": [{"explanation": "Count.", "output": "4"}], "final_answer": "4"}',
    "Review": '{"flagged": true, "category": "violence", "severity": "high", "score": 1}',
    "Node": '{"value": 1, "children": [{"value": 2, "children": []}]}',
    "Email": '{"sender": "ann@example.org", "subject": null, "urgent": true}',
    "Customer": '{"home": {"street": "Main", "zip": "1A"}, "work": {"street": "High", "zip": 8000}}',
    "Drawing": '{"shapes": [{"kind": "square", "side": 2.5}, {"kind": "circle", "radius": 1.0}]}',
    "Game": '{"level": 2, "rows": [[true, null], []]}',
    "Person": '{"name": "Ann", "mother": {"name": "Eve", "mother": null, "friends": []}, "friends": []}',
    "Odd": '{"properties": "none", "only": "this", "mixed": 1}',
}

SCENARIOS = [
    Scenario(
        f"typed answer: {name}",
        "7 strict schema from dataclass, Enum, Literal, Optional/Union, list, nested",
        [answer(completion(text))],
        [call("parse", HI, name)],
        look=("request.line", "request.response_format", "built", "error"),
    )
    for name, text in ANSWERS.items()
]
