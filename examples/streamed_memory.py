"""A chat that remembers, and shows the answer while it is made.  Ctrl-C ends an answer, and forgets the question."""

import sys

import rawchat

history = rawchat.History(system="You are a helpful assistant.", max_tokens=1200)
for line in sys.stdin:
    try:
        for piece in history.stream(line, max_tokens=50):
            print(piece, end="", flush=True)
    except KeyboardInterrupt:
        print(" (forgotten)", end="")
    print()
