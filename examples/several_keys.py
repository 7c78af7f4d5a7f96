"""Several keys: OPENAI_API_KEYS=key1,key2.  One that is refused or used up makes way for the next."""

import os

import rawchat

client = rawchat.Client(api_key=os.environ["OPENAI_API_KEYS"].split(","))
reply = client.chat("Say hi")
print(f"{reply.text} (after {reply.retries} retries)")
