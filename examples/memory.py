"""A chat that remembers, and keeps what was said in talk.jsonl for the next time."""

import pathlib
import sys

import rawchat

SAVED = pathlib.Path("talk.jsonl")

history = (
    rawchat.History.load(SAVED)
    if SAVED.exists()
    else rawchat.History(system="You are a helpful assistant.")
)
for line in sys.stdin:
    print(history.ask(line, max_tokens=50).text)
    history.save(SAVED)
