"""Structured output: a sentence becomes a dataclass."""

from dataclasses import dataclass
from typing import Literal

import rawchat


@dataclass
class CalendarEvent:
    name: str
    day: Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    first_guest: str
    second_guest: str


event = rawchat.parse(
    "Alice and Bob go to a science fair on Friday.", into=CalendarEvent, temperature=0
)
print(event)
