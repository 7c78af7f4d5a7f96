"""What comes back in one piece: answers, errors, answers that are none, redirections."""

from tests.server import answer, completion, head

from .scenario import ANSWERED, OK, STREAM, Scenario, call, failed, zipped

ID = {"x-request-id": "req_1"}
FULL = {
    "error": {
        "message": "Because.",
        "type": "invalid_request_error",
        "param": "messages",
        "code": "some_code",
    }
}
BODY = OK.partition(b"\r\n\r\n")[2]
JSON = "application/json"
ONCE = {"max_retries": 0}


def typed(body: bytes, kind: str = JSON, status: int = 200) -> bytes:
    return answer(body, status, {"Content-Type": kind, **ID})


CLASSES = [
    Scenario(
        f"error {status}",
        "4 the tree and mapping",
        [answer(FULL, status, ID)],
        client=ONCE,
        words="Because.",
    )
    for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 503)
]

ODD_ERRORS = [
    Scenario(
        f"error whose body is {name}",
        "4 .body = the error object",
        [typed(body, kind, 400)],
        words=words,
    )
    for name, body, kind, words in (
        ("a message", b'{"message":"no key","code":7}', JSON, "no key"),
        (
            "vLLM's",
            b'{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}',
            JSON,
            "too long",
        ),
        (
            "Azure's",
            b'{"error":{"code":"DeploymentNotFound","message":"none","innererror":{"code":"x"}}}',
            JSON,
            "none",
        ),
        (
            "one with a code that is a number",
            b'{"error":{"message":"m","code":42,"type":"t"}}',
            JSON,
            "m",
        ),
        ("empty", b"", JSON, ""),
        ("null", b"null", JSON, ""),
        ("an empty error", b'{"error":{},"message":"beside"}', JSON, ""),
        ("one with unknown fields", b'{"error":{"message":"m","new":{"a":1}},"and":2}', JSON, "m"),
        ("beyond ASCII", '{"error":{"message":"zu spät 🎈"}}'.encode(), JSON, "zu spät 🎈"),
        ("not UTF-8", b'{"error":{"message":"caf\xe9"}}', JSON, "caf"),
    )
]

ODD_ERRORS += [
    Scenario(
        f"error whose body is {name}",
        "4 the message always keeps what the server said",
        [typed(body, kind, 400)],
        words=words,
        better="the message keeps what the server said",
        ours={"tells": True, **more},
    )
    for name, body, kind, words, more in (
        ("a string under error", b'{"error":"no such model"}', JSON, "no such model", {}),
        ("a detail", b'{"detail":"Not Found"}', JSON, "Not Found", {}),
        (
            "a list of details",
            b'{"detail":[{"loc":["body"],"msg":"field required"}]}',
            JSON,
            "field required",
            {},
        ),
        (
            "plain text",
            b"upstream connect error\nreset",
            "text/plain",
            "upstream connect error",
            {},
        ),
        (
            "a web page",
            b"<html><head><title>502 Bad Gateway</title></head></html>",
            "text/html",
            ": 502 Bad Gateway",
            {},
        ),
        (
            "a list",
            b'[{"error":{"message":"in a list"}}]',
            JSON,
            "in a list",
            {"body": {"message": "in a list"}},
        ),
        (
            "a null error",
            b'{"error":null,"message":"beside"}',
            JSON,
            "beside",
            {"body": {"error": None, "message": "beside"}},
        ),
        (
            "JSON with a BOM",
            b'\xef\xbb\xbf{"error":{"message":"marked"}}',
            JSON,
            ": marked",
            {"body": {"message": "marked"}},
        ),
        ("cut JSON", b'{"error":{"message":"cut', JSON, '{"error":{"message":"cut', {}),
    )
]

ODD_ERRORS += [
    Scenario(
        "error whose type and param are not strings",
        "4 .code .param .type",
        [typed(b'{"error":{"message":"m","type":5,"param":["a"]}}', JSON, 400)],
        words="m",
        better="they are str or None, as their types say",
        ours={"type": "5", "param": None},
    )
]

MORE_ERRORS = [
    Scenario("error without a request id", "4 .request_id", [answer(FULL, 400)], words="Because."),
    Scenario(
        "error, packed with gzip",
        "4 gzip",
        [zipped(b'{"error":{"message":"packed"}}').replace(b" 200 ", b" 400 ")],
        words="packed",
    ),
    Scenario(
        "too long for the context, by OpenAI",
        "4 the tree and mapping",
        [answer({"error": {"message": "too many tokens", "code": "context_length_exceeded"}}, 400)],
        better="it has its own class, so that a caller can shorten and go on",
        ours={"error": "ContextLengthExceededError"},
    ),
    Scenario(
        "too long for the context, by llama.cpp",
        "4 the tree and mapping",
        [
            answer(
                {
                    "error": {
                        "message": "too many tokens",
                        "type": "exceed_context_size_error",
                        "code": 400,
                    }
                },
                400,
            )
        ],
        better="it has its own class, so that a caller can shorten and go on",
        ours={"error": "ContextLengthExceededError"},
    ),
    Scenario(
        "an error is pickled",
        "4 every exception pickles",
        [answer(FULL, 404, ID)],
        also=("pickles",),
        better="a worker process can hand its error on",
        ours={"pickles": True},
    ),
    Scenario(
        "an error of the network is pickled",
        "4 every exception pickles",
        also=("pickles",),
        client={"base_url": "http://127.0.0.1:{dead}/v1"},
        better="a worker process can hand its error on",
        ours={"pickles": True},
    ),
    Scenario(
        "the server echoes the key",
        "4 no key in any message",
        also=("key shown",),
        script=[answer({"error": {"message": "bad key sk-parity-abcdefghij"}}, 401)],
        better="the key is taken out of it",
        ours={"body": {"message": "bad key ***"}, "key shown": False},
    ),
]

GOOD = [
    Scenario("request id of a reply", "4 .request_id", [answer(completion(), headers=ID)]),
    Scenario(
        "unknown fields in a reply",
        "4 unknown fields are kept",
        [answer(completion(new={"a": [1, None]}, system_fingerprint="fp"))],
    ),
    Scenario(
        "unknown values in a reply",
        "4 unknown values are kept",
        [answer(completion(object="other", created=1.5, service_tier="gold"))],
    ),
    Scenario(
        "a reply with nothing but its choices",
        "4 missing optional ones",
        [answer({"choices": [{"message": {"content": "Hi"}}]})],
        better="a message without a role cannot be sent back, so it is the assistant's",
        ours={"reply": {"choices": [{"message": {"content": "Hi", "role": "assistant"}}]}},
    ),
    Scenario(
        "a reply without content",
        "4 missing optional ones",
        [answer({"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": []}}]})],
    ),
    Scenario(
        "a reply without choices",
        "4 missing optional ones",
        [answer({"id": "x", "choices": []})],
        better="a chat answer in which no choice ever arrived is an error",
        ours={
            "error": "APIResponseValidationError",
            "status": 200,
            "body": '{"id": "x", "choices": []}',
            "reply": None,
            "text": None,
        },
    ),
    Scenario(
        "a reply with usage",
        "4 unknown fields are kept",
        [answer(completion(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))],
    ),
    Scenario("a reply beyond ASCII", "4 JSON", [answer(completion("Grüße 你好 🎈"))]),
    Scenario(
        "a reply in unescaped UTF-8",
        "4 JSON",
        [typed('{"choices":[{"message":{"role":"assistant","content":"你好"}}]}'.encode())],
    ),
    Scenario(
        "a reply under another charset",
        "4 JSON",
        [
            typed(
                '{"choices":[{"message":{"role":"assistant","content":"é"}}]}'.encode(),
                "application/json; charset=latin-1",
            )
        ],
    ),
    Scenario("a reply with status 201", "4 2xx", [answer(completion(), 201)]),
    Scenario(
        "a reply under application/vnd.api+json", "4 2xx", [typed(BODY, "application/vnd.api+json")]
    ),
    Scenario("a reply in gzip", "2 gzip/deflate replies", [zipped(BODY)]),
    Scenario("a reply in deflate", "2 gzip/deflate replies", [zipped(BODY, "deflate")]),
    Scenario(
        "a chunked reply",
        "2 framings",
        [
            [
                head(200, {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}),
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
            ]
        ],
    ),
    Scenario("a number of 400 digits", "4 JSON", [typed(BODY[:-1] + b',"x":' + b"7" * 400 + b"}")]),
    Scenario(
        "a reply under text/plain", "4 JSON under text/plain is fine", [typed(BODY, "text/plain")]
    ),
    Scenario("a reply without a type", "4 JSON under text/plain is fine", [typed(BODY, "")]),
    Scenario("a reply with a BOM", "4 JSON", [typed(b"\xef\xbb\xbf" + BODY)]),
]

SAYS = "it is an error, and says so"
HINTS = "it is an error, and says so, with a hint at base_url"
ODD_GOOD = [
    Scenario(
        f"200 whose body is {name}",
        "4 2xx that is not the JSON asked for",
        [typed(body, kind)],
        words=words,
        better=HINTS if words == "base_url" else SAYS,
        ours=failed("APIResponseValidationError", body.decode(), tells=True, **more),
    )
    for name, body, kind, words, more in (
        (
            "a web page",
            b"<!doctype html><title>Login</title>",
            "text/html",
            "base_url",
            {"reply": None},
        ),
        ("a web page called JSON", b"<html>Login</html>", JSON, "base_url", {}),
        ("empty", b"", JSON, "empty", {}),
        ("null", b"null", JSON, "null (POST", {}),
        ("a list", b"[1, 2]", JSON, "[1, 2]", {"reply": None}),
        ("a string", b'"hello"', JSON, '"hello"', {"reply": None}),
        ("a number", b"42", JSON, "42", {"reply": None}),
        ("plain text", b"It works!", "text/plain", "It works!", {"reply": None}),
    )
]

ODD_GOOD += [
    Scenario(
        "200 whose body is an error",
        '4 {"error": ...}',
        [typed(b'{"error":{"message":"overloaded","code":"busy"}}')],
        words="overloaded",
        better="an error is an error",
        ours={
            "error": "APIResponseValidationError",
            "status": 200,
            "code": "busy",
            "tells": True,
            "body": {"message": "overloaded", "code": "busy"},
            "reply": None,
            "text": None,
        },
    ),
    Scenario(
        "200 whose body is a string under error",
        '4 {"error": ...}',
        [typed(b'{"error":"overloaded"}')],
        words="overloaded",
        better="an error is an error",
        ours={
            "error": "APIResponseValidationError",
            "status": 200,
            "tells": True,
            "body": "overloaded",
            "reply": None,
            "text": None,
        },
    ),
    Scenario(
        "moderation: 200 whose body is an error",
        '4 {"error": ...}',
        [typed(b'{"error":{"message":"overloaded"}}')],
        [call("moderate", "x")],
        words="overloaded",
        better="an error is an error",
        ours={
            "error": "APIResponseValidationError",
            "status": 200,
            "tells": True,
            "body": {"message": "overloaded"},
            "reply": None,
        },
    ),
    Scenario(
        "models: 200 whose body is a web page",
        "4 2xx that is not the JSON asked for",
        [typed(b"<html>Hi</html>", "text/html")],
        [call("models")],
        words="base_url",
        better=HINTS,
        ours=failed("APIResponseValidationError", "<html>Hi</html>", tells=True),
    ),
    Scenario(
        "200 whose body is cut JSON",
        "10 Cut JSON may be retried",
        [typed(BODY[:-9]), OK],
        better="a cut answer is asked for again",
        ours={"requests": 2, "waits": [0.4375], "error": None, **ANSWERED},
    ),
    Scenario(
        "200 whose body is cut JSON, for ever",
        "10 Cut JSON may be retried",
        [typed(BODY[:-9])],
        words="cut off",
        better="it is asked for again; then it is an error, and says so",
        ours=failed(
            "APIResponseValidationError",
            BODY[:-9].decode(),
            tells=True,
            requests=3,
            waits=[0.4375, 0.875],
        ),
    ),
    Scenario(
        "200 whose body is very deep JSON",
        "4 2xx that is not the JSON asked for",
        [typed(b"[" * 100_000)],
        words="200, but",
        better="it is an error of ours, not RecursionError; the SDK's caller catches APIError in vain",
        ours=failed("APIResponseValidationError", "[" * 2000, tells=True),
    ),
    Scenario(
        "200 with a number of 5000 digits",
        "4 2xx that is not the JSON asked for",
        [typed(b'{"x":' + b"7" * 5000 + b"}")],
        words="200, but",
        better="it is an error of ours, not ValueError",
        ours=failed("APIResponseValidationError", '{"x":' + "7" * 1995, tells=True),
    ),
    Scenario(
        "204",
        "4 2xx that is not the JSON asked for",
        [head(204, ID)],
        words="204",
        better=SAYS,
        ours=failed("APIResponseValidationError", "", 204, tells=True, reply=None),
    ),
]

MOVED = {"requests": 1, "error": "APIStatusError", "status": 307, "body": "", "tells": True}
REDIRECTS = [
    Scenario(
        f"{status} to the same origin",
        "2 307/308 to the same origin",
        [head(status, Location="{origin}/v2/chat", Content_Length=0), OK],
    )
    for status in (307, 308)
]

REDIRECTS += [
    Scenario(
        f"{status} of a POST",
        "2 301/302/303 of a POST",
        [
            head(
                status, Location="{origin}/v2/chat", Content_Length=0, **{"x-request-id": "req_1"}
            ),
            OK,
        ],
        words="/v2/chat",
        better="a question is not turned into a GET without it",
        ours=failed(
            "APIStatusError",
            "",
            status,
            tells=True,
            requests=1,
            reply=None,
            text=None,
            **{"changed.2": None},
        ),
    )
    for status in (301, 302, 303)
]

REDIRECTS += [
    Scenario(
        "307 to a relative place",
        "2 307/308 to the same origin",
        [head(307, Location="../x?y=1", Content_Length=0), OK],
    ),
    Scenario(
        "307 of a stream's request",
        "2 307/308 to the same origin",
        [head(307, Location="/elsewhere", Content_Length=0), answer(FULL, 400)],
        [STREAM],
    ),
    Scenario(
        "308 five times",
        "2 at most 5",
        [*[head(308, Location=f"/{n}", Content_Length=0) for n in range(5)], OK],
    ),
    Scenario(
        "307 to another origin",
        "2 another origin",
        [head(307, Location="http://localhost:{port}/v1/chat/completions", Content_Length=0), OK],
        words="localhost",
        better="neither key nor question goes there",
        ours={**MOVED, "connections": 1, "reply": None, "text": None, "changed.2": None},
    ),
    Scenario(
        "307 in a loop",
        "2 a loop",
        [head(307, Location="/v1/chat/completions", Content_Length=0)],
        words="/v1/chat/completions",
        better="five times are enough to know",
        ours={**MOVED, "requests": 6, "waits": []},
    ),
    Scenario(
        "307 without a Location",
        "2 APIStatusError that names the location",
        [head(307, Content_Length=0)],
        words="nowhere",
        better="the message says so",
        ours={"tells": True},
    ),
    Scenario(
        "307 to what is no URL",
        "2 APIStatusError that names the location",
        [head(307, Location="http://[half", Content_Length=0)],
        words="http://[half",
        better="it is the server's redirection that is wrong, not the network",
        ours={**MOVED, "waits": []},
    ),
    Scenario(
        "302 of a GET",
        "2 redirects",
        [
            head(302, Location="/v2/models", Content_Length=0),
            answer({"object": "list", "data": []}),
        ],
        [call("models")],
    ),
    Scenario("304", "2 redirects", [head(304, ID)]),
]

SCENARIOS = [*CLASSES, *ODD_ERRORS, *MORE_ERRORS, *GOOD, *ODD_GOOD, *REDIRECTS]
