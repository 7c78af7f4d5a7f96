"""What goes out: method, target, headers, body; and what is refused before it does."""

from tests.server import answer, completion, event, streamed

from .scenario import ANSWERED, CHAT, HI, KEY, SENT, STREAM, UNSENT, Scenario, call

LIST = answer(
    {"object": "list", "data": [{"id": "a", "object": "model", "created": 1, "owned_by": "me"}]}
)
MODEL = answer({"id": "a", "object": "model", "created": 1, "owned_by": "me"})
TEXT = answer(
    {
        "id": "c",
        "object": "text_completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "text": "upon a time", "finish_reason": "stop", "logprobs": None}],
    }
)
TEXT_CHUNK = {
    "id": "c",
    "object": "text_completion",
    "choices": [{"index": 0, "text": "upon", "finish_reason": None}],
}
FLAGS = answer(
    {
        "id": "x",
        "model": "m",
        "results": [{"flagged": False, "categories": {}, "category_scores": {}}],
    }
)
PICTURE = answer({"created": 1, "data": [{"b64_json": "iVBORw0KGgo="}]})
SURE = call("chat", [{"role": "user", "content": "half \ud83d of one"}])
TOOL = {
    "type": "function",
    "function": {"name": "now", "parameters": {"type": "object", "properties": {}}},
}
PHOTO = [
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
        ],
    }
]

VERBS = [
    Scenario("chat", "1 POST {base}/chat/completions"),
    Scenario("chat, streamed", "1 POST {base}/chat/completions", [streamed()], [STREAM]),
    Scenario("completion", "1 /completions", [TEXT], [call("complete", "Once")]),
    Scenario(
        "completion, streamed",
        "1 /completions",
        [streamed([event(TEXT_CHUNK), event("[DONE]")])],
        [call("stream_complete", "Once")],
    ),
    Scenario(
        "completion of several prompts",
        "1 /completions",
        [TEXT],
        [call("complete", ["Once", "Twice"])],
    ),
    Scenario("moderation", "1 /moderations", [FLAGS], [call("moderate", "kind words")]),
    Scenario(
        "moderation of several texts",
        "1 /moderations",
        [FLAGS],
        [call("moderate", ["a", "b"], model="o")],
    ),
    Scenario(
        "image",
        "1 /images/generations",
        [PICTURE],
        [call("image", "a cat", model="i", size="256x256")],
    ),
    Scenario("models", "1 GET {base}/models", [LIST], [call("models")]),
    Scenario("model", "1 GET {base}/models/{id}", [MODEL], [call("model", "gpt-4o")]),
]

BASES = [
    Scenario(
        f"base_url {path or 'without a path'}",
        "1 base path is never dropped; trailing slashes",
        client={"base_url": "{origin}" + path},
    )
    for path in ("", "/", "/v1/", "/proxy/v1", "/a%20b/v1", "/deep/er/still/v1/")
]

BASES += [
    Scenario(
        "base_url /v1///",
        "1 all trailing slashes of the base are folded",
        client={"base_url": "{url}///"},
        better="all slashes at its end are folded",
        ours={"request.line": "POST /v1/chat/completions"},
    ),
    Scenario(
        "base_url with a query",
        "1 a base_url with a query",
        client={"base_url": "{url}?api-version=2024-10-21"},
        better="path and query are both kept",
        ours={"request.line": "POST /v1/chat/completions?api-version=2024-10-21"},
    ),
    Scenario(
        "base_url with a query, and default_query",
        "1 a base_url with a query",
        client={"base_url": "{url}?api-version=1", "default_query": {"b": "2"}},
        better="path and query are both kept",
        ours={"request.line": "POST /v1/chat/completions?api-version=1&b=2"},
    ),
    Scenario(
        "base_url with user:password@",
        "1 base_url with user:password@ is refused",
        client={"base_url": "http://user:secret@127.0.0.1:{port}/v1"},
        better="a password in a URL ends up in logs: it is refused",
        ours={**UNSENT, "error": "ConfigError"},
    ),
    Scenario(
        "base_url with a fragment",
        "1 base_url with a fragment is refused",
        client={"base_url": "{url}#here"},
        better="what comes after # is never sent: it is refused",
        ours={**UNSENT, "error": "ConfigError"},
    ),
    Scenario(
        "base_url with another scheme",
        "1 base_url with a scheme other than http(s)",
        client={"base_url": "ftp://127.0.0.1/v1"},
        better="it is refused when the client is made",
        ours={"error": "ConfigError", "waits": []},
    ),
]

IDS = [
    Scenario(
        f"model id {id}", "1 a model id in a path is percent-encoded", [MODEL], [call("model", id)]
    )
    for id in ("org/model:ft 1", "ft:gpt-4o:me::abc", "ü%2F", "a?b#c", "..x", "a+b&c=d@e")
]

IDS += [
    Scenario(
        f"model id {id}", "1 . and .. are refused before sending", [MODEL], [call("model", id)]
    )
    for id in (".", "..", "")
]

HEADERS = [
    Scenario(
        "organization and project",
        "1 OpenAI-Organization / OpenAI-Project",
        client={"organization": "org-1", "project": "proj-1"},
    ),
    Scenario(
        "default_headers",
        "1 defaults < default_headers",
        client={"default_headers": {"X-A": "1", "User-Agent": "me"}},
    ),
    Scenario(
        "extra_headers over default_headers, in another case",
        "1 merged without regard to case",
        calls=[call("chat", HI, extra_headers={"x-a": "2"})],
        client={"default_headers": {"X-A": "1", "X-B": "3"}},
    ),
    Scenario(
        "extra_headers over the built-in ones",
        "1 merged without regard to case",
        calls=[
            call(
                "chat",
                HI,
                extra_headers={"accept": "text/plain", "content-type": "application/x-json"},
            )
        ],
    ),
    Scenario(
        "another Authorization",
        "1 defaults < extra_headers",
        calls=[call("chat", HI, extra_headers={"authorization": "Basic YTpi"})],
    ),
    Scenario(
        "an empty header value",
        "1 headers",
        calls=[call("chat", HI, extra_headers={"X-Empty": ""})],
    ),
    Scenario(
        "a header value in Latin-1",
        "1 headers",
        calls=[call("chat", HI, extra_headers={"X-Name": "Zoë"})],
        better="what a header may hold is sent (RFC 9110, 5.5)",
        ours={**SENT, **ANSWERED, "request.x-name": "Zoë", "error": None},
    ),
    Scenario(
        "extra_query", "1 extra_*", calls=[call("chat", HI, extra_query={"a": "1", "b": "x-y/z&ü"})]
    ),
    Scenario(
        "extra_query with a blank",
        "1 extra_*",
        calls=[call("chat", HI, extra_query={"a": "x y"})],
        better="%20 is a blank to every server, + only to those that expect a form",
        ours={"request.line": "POST /v1/chat/completions?a=x%20y"},
    ),
    Scenario(
        "extra_query over default_query",
        "1 extra_*",
        [LIST],
        [call("models", extra_query={"a": "2"})],
        client={"default_query": {"a": "1", "c": 3}},
    ),
    Scenario(
        "extra_query with booleans and None",
        "1 extra_*",
        calls=[call("chat", HI, extra_query={"yes": True, "no": False, "none": None})],
    ),
    Scenario(
        "extra_query with a list",
        "1 extra_*",
        calls=[call("chat", HI, extra_query={"a": [1, 2]})],
        better="a list repeats its name, as most servers read it; the SDK's a[] is a habit of PHP",
        ours={"request.line": "POST /v1/chat/completions?a=1&a=2"},
    ),
    Scenario(
        "a GET has no body and no Content-Type",
        "1 Content-Type only with a body",
        [LIST],
        [call("models", extra_headers={"X-A": "1"})],
    ),
]

BODIES = [
    Scenario(
        "text beyond ASCII",
        "1 not ASCII-escaped",
        calls=[call("chat", [{"role": "user", "content": "Grüße, 你好 🎈"}])],
    ),
    Scenario(
        "text with control characters and U+2028",
        "1 compact UTF-8 JSON",
        calls=[call("chat", [{"role": "user", "content": 'a\0b\n\u2028\x7f"\\/'}])],
    ),
    Scenario(
        "parameters of all kinds",
        "1 body",
        calls=[
            call(
                "chat",
                HI,
                temperature=0.5,
                n=1,
                stop=["a", "b"],
                logit_bias={"50256": -100},
                seed=2**53 + 1,
            )
        ],
    ),
    Scenario(
        "tools and response_format",
        "1 body",
        calls=[
            call(
                "chat",
                HI,
                tools=[TOOL],
                tool_choice="auto",
                response_format={"type": "json_object"},
            )
        ],
    ),
    Scenario("a picture among the messages", "1 body", calls=[call("chat", PHOTO)]),
    Scenario(
        "a parameter of None",
        "1 None is sent as null",
        calls=[call("chat", HI, temperature=None, stop=None)],
    ),
    Scenario(
        "extra_body",
        "1 extra_body wins",
        calls=[call("chat", HI, seed=1, extra_body={"seed": 2, "mine": {"a": [1]}})],
    ),
    Scenario(
        "extra_body over messages and model",
        "1 extra_body wins",
        calls=[call("chat", HI, extra_body={"model": "other", "messages": []})],
    ),
    Scenario(
        "messages from a generator",
        "1 a generator of messages",
        calls=[call("chat", (m for m in HI))],
    ),
    Scenario(
        "messages from a generator, sent again",
        "1 a generator is sent again on a retry",
        [answer({}, 500), answer(completion())],
        [call("chat", (m for m in HI))],
    ),
    Scenario("messages in a tuple", "1 body", calls=[call("chat", tuple(HI))]),
    Scenario("no messages", "1 body", calls=[call("chat", [])]),
    Scenario(
        "NaN", "1 NaN and Infinity are refused", calls=[call("chat", HI, temperature=float("nan"))]
    ),
    Scenario(
        "Infinity",
        "1 NaN and Infinity are refused",
        calls=[call("chat", HI, extra_body={"x": [float("inf")]})],
    ),
    Scenario(
        "bytes in a message",
        "1 bytes inside messages",
        calls=[call("chat", [{"role": "user", "content": b"x"}])],
        better="it is refused, and nothing is sent",
        ours={**UNSENT, "error": "TypeError"},
    ),
    Scenario(
        "half a surrogate pair",
        "1 a lone surrogate",
        calls=[SURE],
        better="the error names the place",
        words="messages[0].content",
        ours={"error": "ValueError", "tells": True},
    ),
    Scenario(
        "an object that JSON does not know",
        "1 body",
        calls=[call("chat", HI, extra_body={"x": object()})],
    ),
    Scenario("a set", "1 body", calls=[call("chat", HI, extra_body={"x": {1}})]),
]

ENVIRONMENT = [
    Scenario(
        "OPENAI_API_KEY",
        "1 environment",
        client={"api_key": None},
        environ={"OPENAI_API_KEY": KEY + "-env"},
    ),
    Scenario(
        "OPENAI_BASE_URL",
        "1 environment",
        client={"base_url": None},
        environ={"OPENAI_BASE_URL": "{origin}/env/v2"},
    ),
    Scenario(
        "arguments before the environment",
        "1 environment",
        environ={"OPENAI_BASE_URL": "http://127.0.0.1:{dead}/", "OPENAI_API_KEY": "sk-other"},
    ),
    Scenario(
        "OPENAI_ORG_ID and OPENAI_PROJECT_ID",
        "1 environment",
        environ={"OPENAI_ORG_ID": "org-env", "OPENAI_PROJECT_ID": "proj-env"},
    ),
    Scenario(
        "organization before OPENAI_ORG_ID",
        "1 environment",
        client={"organization": "org-arg"},
        environ={"OPENAI_ORG_ID": "org-env"},
    ),
    Scenario(
        "OPENAI_CUSTOM_HEADERS",
        "1 environment",
        environ={"OPENAI_CUSTOM_HEADERS": "X-A: 1\nX-B: b: c\n"},
    ),
    Scenario(
        "default_headers before OPENAI_CUSTOM_HEADERS",
        "1 environment",
        client={"default_headers": {"x-a": "arg"}},
        environ={"OPENAI_CUSTOM_HEADERS": "X-A: env"},
    ),
    Scenario(
        "HTTP_PROXY",
        "1 environment",
        client={"base_url": "http://model.example/v1"},
        added={"allow_http": True},
        environ={"HTTP_PROXY": "{origin}"},
        look=("request.line", "text", "error"),
    ),
    Scenario(
        "ALL_PROXY",
        "1 environment",
        client={"base_url": "http://model.example/v1"},
        added={"allow_http": True},
        environ={"ALL_PROXY": "{origin}"},
        look=("request.line", "text", "error"),
    ),
    Scenario(
        "HTTP_PROXY with a password",
        "1 environment",
        client={"base_url": "http://model.example/v1"},
        added={"allow_http": True},
        environ={"HTTP_PROXY": "http://user:pass@127.0.0.1:{port}"},
        look=("request.line", "request.proxy", "text", "error"),
    ),
    Scenario(
        "NO_PROXY",
        "1 environment",
        environ={"HTTP_PROXY": "http://127.0.0.1:{dead}", "NO_PROXY": "127.0.0.1"},
    ),
    Scenario(
        "settings in .env",
        "1 .env is read in the working directory",
        client={"api_key": None},
        files={".env": f"OPENAI_API_KEY={KEY}-dotenv\n"},
        better="the SDK knows no .env",
        ours={**SENT, **ANSWERED, "request.authorization": f"Bearer {KEY}-dotenv", "error": None},
    ),
    Scenario(
        "a setting in .env that is not ours",
        "1 .env knows only our names",
        files={".env": "HTTP_PROXY=http://127.0.0.1:{dead}\n"},
    ),
    Scenario(
        "~/.netrc",
        "1 ~/.netrc never replaces the Authorization header",
        calls=[CHAT],
        files={"netrc": "machine 127.0.0.1 login me password secret\n"},
        environ={"NETRC": "netrc"},
    ),
]

SCENARIOS = [*VERBS, *BASES, *IDS, *HEADERS, *BODIES, *ENVIRONMENT]
