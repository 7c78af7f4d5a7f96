"""What anybody would write to ask once and see the answer come: `python bench/script.py BASE_URL QUESTION`."""

import json
import os
import sys

import requests
import sseclient

url, question = sys.argv[1:]
body = {"model": "m", "messages": [{"role": "user", "content": question}], "stream": True}
headers = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
response = requests.post(f"{url}/chat/completions", json=body, headers=headers, stream=True)
response.raise_for_status()
for event in sseclient.SSEClient(response).events():
    if event.data == "[DONE]":
        break
    print(json.loads(event.data)["choices"][0]["delta"].get("content", ""), end="", flush=True)
print()
