"""Structured output, nested: a solution as a list of steps."""

from dataclasses import dataclass

import rawchat


@dataclass
class Step:
    explanation: str
    output: str


@dataclass
class Solution:
    steps: list[Step]
    final_answer: str


messages = [
    {"role": "system", "content": "You are a tutor. Solve step by step."},
    {"role": "user", "content": "How can I solve 8x + 7 = -23?"},
]
solution = rawchat.parse(messages, into=Solution)
for number, step in enumerate(solution.steps, 1):
    print(f"{number}. {step.explanation}  {step.output}")
print("Answer:", solution.final_answer)
