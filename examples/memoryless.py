"""A chat without memory: every line is a question of its own.  Ends with the input (Ctrl-D)."""

import sys

import rawchat

for line in sys.stdin:
    print(rawchat.chat(line, max_tokens=50).text)
