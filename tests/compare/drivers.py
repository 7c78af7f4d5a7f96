"""One client in a process of its own, asked by lines of JSON on standard input.

    python drivers.py NAME           NAME is rawchat, openai, llm, litellm or requests

A line is {"url": base_url, "stream": bool}; the response is {"text": …}, or {"error": class, "says": message, "ours": bool},
where `ours` is whether the exception is one that the client documents.  With --once URL the program makes a single plain
call and prints its text: that is what the start is measured with.

Each client is used as its first page shows, with its defaults; a timeout of 2 seconds stands for patience.
"""

import json
import sys

PROMPT = "Hi"
KEY = "sk-compare-abcdefghijkl"
MODEL = "gpt-4o-mini"
TIMEOUT = 2.0


def rawchat_call():
    """Return the call of rawchat, and the exceptions that it documents."""
    import rawchat

    def call(url, stream):
        client = rawchat.Client(
            base_url=url, api_key=KEY, model=MODEL, timeout=TIMEOUT, deadline=4 * TIMEOUT
        )
        if not stream:
            return client.chat(PROMPT).text
        with client.stream_chat(PROMPT) as pieces:
            return "".join(pieces.texts())

    return call, rawchat.RawchatError


def openai_call():
    """Return the call of the official SDK, and the exceptions that it documents."""
    import openai

    messages = [{"role": "user", "content": PROMPT}]

    def call(url, stream):
        client = openai.OpenAI(base_url=url, api_key=KEY, timeout=TIMEOUT)
        if not stream:
            return (
                client.chat.completions.create(model=MODEL, messages=messages)
                .choices[0]
                .message.content
            )
        texts = []
        for chunk in client.chat.completions.create(model=MODEL, messages=messages, stream=True):
            if chunk.choices and chunk.choices[0].delta.content:
                texts.append(chunk.choices[0].delta.content)
        return "".join(texts)

    return call, openai.OpenAIError


def llm_call():
    """Return the call of llm's Python API, and the exceptions that it documents."""
    import llm
    import openai
    from llm.default_plugins.openai_models import Chat

    def call(url, stream):
        model = Chat(MODEL, model_name=MODEL, api_base=url)
        model.key = KEY
        return model.prompt(PROMPT, stream=stream).text()

    return call, (llm.ModelError, openai.OpenAIError)


def litellm_call():
    """Return the call of litellm, and the exceptions that it documents: subclasses of the SDK's."""
    import litellm
    import openai

    litellm.suppress_debug_info = True
    messages = [{"role": "user", "content": PROMPT}]

    def call(url, stream):
        result = litellm.completion(
            model=f"openai/{MODEL}",
            messages=messages,
            api_base=url,
            api_key=KEY,
            timeout=TIMEOUT,
            stream=stream,
        )
        if not stream:
            return result.choices[0].message.content
        return "".join(chunk.choices[0].delta.content or "" for chunk in result if chunk.choices)

    return call, openai.OpenAIError


def requests_call():
    """Return the twenty lines that one writes with requests, and the exceptions of that library."""
    import requests

    def call(url, stream):
        response = requests.post(
            url + "/chat/completions",
            json={
                "model": MODEL,
                "messages": [{"role": "user", "content": PROMPT}],
                "stream": stream,
            },
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=TIMEOUT,
            stream=stream,
        )
        response.raise_for_status()
        if not stream:
            return response.json()["choices"][0]["message"]["content"]
        texts = []
        for line in response.iter_lines():
            if line.startswith(b"data: ") and line != b"data: [DONE]":
                for choice in json.loads(line[6:])["choices"]:
                    texts.append(choice["delta"].get("content") or "")
        return "".join(texts)

    return call, requests.RequestException


CALLS = {
    "rawchat": rawchat_call,
    "openai": openai_call,
    "llm": llm_call,
    "litellm": litellm_call,
    "requests": requests_call,
}


def main(name, once=""):
    """Answer the lines of standard input; or with a URL in `once`, make one call and print its text."""
    call, ours = CALLS[name]()
    if once:
        print(call(once, False))
        return
    out = sys.stdout
    sys.stdout = sys.stderr  # for what a client prints by itself
    for line in sys.stdin:
        wanted = json.loads(line)
        try:
            result = {"text": call(wanted["url"], wanted["stream"])}
        except Exception as error:
            result = {
                "error": type(error).__name__,
                "says": str(error),
                "ours": isinstance(error, ours),
            }
        print(json.dumps(result), file=out, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *sys.argv[3:4])
