"""Roles: a system message says who answers, and a made-up turn shows how."""

import rawchat

messages = [
    {"role": "system", "content": "You are a pirate. Answer every question as one."},
    {"role": "user", "content": "How are you?"},
    {"role": "assistant", "content": "Arr, shipshape I be, matey!"},
    {"role": "user", "content": "Where is the treasure?"},
]
reply = rawchat.chat(messages, temperature=0.7, max_tokens=60)
print(reply.message["role"], "says:", reply.text)
