"""The older endpoint: a model continues a text, printed while it is generated."""

import rawchat

START = "Once upon a time, in a lighthouse by the sea,"

print(START, end="", flush=True)
with rawchat.stream_complete(START, max_tokens=40, temperature=0.8) as stream:
    for piece in stream.texts():
        print(piece, end="", flush=True)
print()
