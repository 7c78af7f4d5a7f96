"""A guard: what is harmful is neither asked nor kept, and a harmful answer is forgotten with its question."""

import sys

import rawchat


class FlaggedError(Exception):
    """A text that is not to be shown."""


def check(text: str) -> None:
    """Raise FlaggedError if `text` is harmful."""
    verdict = rawchat.moderate(text)
    if verdict.flagged:
        raise FlaggedError(", ".join(verdict.categories))


history = rawchat.History(system="You are a helpful assistant.")
for line in sys.stdin:
    try:
        with history.turn():
            check(line)
            answer = history.ask(line).text
            check(answer)
            print(answer)
    except FlaggedError as flagged:
        print(f"(not shown: {flagged})")
print(f"{len(history)} messages kept")
