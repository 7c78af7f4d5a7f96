"""Retries: a busy server is asked again, after the wait that it asks for; the log tells."""

import logging

import rawchat

logging.basicConfig(format="%(name)s: %(message)s")
logging.getLogger("rawchat").setLevel(logging.INFO)

client = rawchat.Client(max_retries=4, deadline=60)
try:
    reply = client.chat("Say hi")
    print(f"{reply.text} (after {reply.retries} retries)")
except rawchat.RateLimitError as error:
    print(f"still busy: {error}")
