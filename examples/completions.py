"""The older endpoint: a model goes on with a text, shown while it is made."""

import rawchat

START = "Once upon a time, in a lighthouse by the sea,"

print(START, end="", flush=True)
with rawchat.stream_complete(START, max_tokens=40, temperature=0.8) as stream:
    for piece in stream.texts():
        print(piece, end="", flush=True)
print()
