"""What comes back in one piece: answers, errors, answers that are none, redirections."""
from tests.server import answer, completion, head

from .scenario import OK, STREAM, Scenario, call, zipped

ID = {"x-request-id": "req_1"}
FULL = {"error": {"message": "Because.", "type": "invalid_request_error", "param": "messages", "code": "some_code"}}
JSON = OK.partition(b"\r\n\r\n")[2]
ONCE = {"max_retries": 0}


def typed(body: bytes, kind: str = "application/json", status: int = 200) -> bytes:
    return answer(body, status, {"Content-Type": kind, **ID})


CLASSES = [
    Scenario(f"error {status}", "4 the tree and mapping", [answer(FULL, status, ID)], client=ONCE, words="Because.")
    for status in (400, 401, 403, 404, 409, 418, 422, 429, 500, 503)]

ODD_ERRORS = [
    Scenario(f"error whose body is {name}", "4 .body = the error object", [typed(body, kind, 400)], words=words, **more)
    for name, body, kind, words, more in (
        ("a string under error", b'{"error":"no such model"}', "application/json", "no such model", {}),
        ("a detail", b'{"detail":"Not Found"}', "application/json", "Not Found", {}),
        ("a list of details", b'{"detail":[{"loc":["body"],"msg":"field required"}]}', "application/json",
         "field required", {}),
        ("a message", b'{"message":"no key","code":7}', "application/json", "no key", {}),
        ("vLLM's", b'{"object":"error","message":"too long","type":"BadRequestError","param":null,"code":400}',
         "application/json", "too long", {}),
        ("Azure's", b'{"error":{"code":"DeploymentNotFound","message":"none","innererror":{"code":"x"}}}',
         "application/json", "none", {}),
        ("a code that is a number", b'{"error":{"message":"m","code":42,"type":"t"}}', "application/json", "m", {}),
        ("a type that is a number", b'{"error":{"message":"m","type":5,"param":["a"]}}', "application/json", "m", {}),
        ("plain text", b"upstream connect error\nreset", "text/plain", "upstream connect error", {}),
        ("a web page", b"<html><head><title>502 Bad Gateway</title></head></html>", "text/html", "502 Bad Gateway", {}),
        ("empty", b"", "application/json", "", {}),
        ("null", b"null", "application/json", "", {}),
        ("a list", b'[{"error":{"message":"in a list"}}]', "application/json", "in a list", {}),
        ("a null error", b'{"error":null,"message":"beside"}', "application/json", "beside", {}),
        ("an empty error", b'{"error":{},"message":"beside"}', "application/json", "", {}),
        ("unknown fields", b'{"error":{"message":"m","new":{"a":1}},"and":2}', "application/json", "m", {}),
        ("beyond ASCII", '{"error":{"message":"zu spät 🎈"}}'.encode(), "application/json", "zu spät 🎈", {}),
        ("JSON with a BOM", b'\xef\xbb\xbf{"error":{"message":"marked"}}', "application/json", "marked", {}),
        ("not UTF-8", b'{"error":{"message":"caf\xe9"}}', "application/json", "caf", {}),
        ("cut JSON", b'{"error":{"message":"cut', "application/json", "cut", {}))]

MORE_ERRORS = [
    Scenario("error without a request id", "4 .request_id", [answer(FULL, 400)], words="Because."),
    Scenario("error, packed with gzip", "4 gzip", [zipped(b'{"error":{"message":"packed"}}').replace(b" 200 ", b" 400 ")],
             words="packed"),
    Scenario("too long for the context, by OpenAI", "4 the tree and mapping",
             [answer({"error": {"message": "too many tokens", "code": "context_length_exceeded"}}, 400)],
             better="its own class, so that a caller can shorten and go on"),
    Scenario("too long for the context, by llama.cpp", "4 the tree and mapping",
             [answer({"error": {"message": "too many tokens", "type": "exceed_context_size_error", "code": 400}}, 400)],
             better="its own class, so that a caller can shorten and go on"),
    Scenario("an error is pickled", "4 every exception pickles", [answer(FULL, 404, ID)], also=("pickles",),
             better="a worker process can hand its error on", ours={"pickles": True}),
    Scenario("an error of the network is pickled", "4 every exception pickles", also=("pickles",),
             client={"base_url": "http://127.0.0.1:{dead}/v1"},
             better="a worker process can hand its error on", ours={"pickles": True}),
    Scenario("the server echoes the key", "4 no key in any message", also=("key shown",),
             script=[answer({"error": {"message": "bad key sk-parity-0123456789"}}, 401)],
             better="the key is taken out of it")]

GOOD = [
    Scenario("request id of a reply", "4 .request_id", [answer(completion(), headers=ID)]),
    Scenario("unknown fields in a reply", "4 unknown fields are kept",
             [answer(completion(new={"a": [1, None]}, system_fingerprint="fp"))]),
    Scenario("unknown values in a reply", "4 unknown values are kept",
             [answer(completion(object="other", created=1.5, service_tier="gold"))]),
    Scenario("a reply with nothing but its choices", "4 missing optional ones",
             [answer({"choices": [{"message": {"content": "Hi"}}]})]),
    Scenario("a reply without content", "4 missing optional ones",
             [answer({"choices": [{"index": 0, "message": {"role": "assistant", "tool_calls": []}}]})]),
    Scenario("a reply without choices", "4 missing optional ones", [answer({"id": "x", "choices": []})]),
    Scenario("a reply with usage", "4 unknown fields are kept",
             [answer(completion(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))]),
    Scenario("a reply beyond ASCII", "4 JSON", [answer(completion("Grüße 你好 🎈"))]),
    Scenario("a reply in unescaped UTF-8", "4 JSON", [typed('{"choices":[{"message":{"content":"你好"}}]}'.encode())]),
    Scenario("a reply under another charset", "4 JSON",
             [typed('{"choices":[{"message":{"content":"é"}}]}'.encode(), "application/json; charset=latin-1")]),
    Scenario("a reply with status 201", "4 2xx", [answer(completion(), 201)]),
    Scenario("a reply under application/vnd.api+json", "4 2xx", [typed(JSON, "application/vnd.api+json")]),
    Scenario("a reply in gzip", "2 gzip/deflate replies", [zipped(JSON)]),
    Scenario("a reply in deflate", "2 gzip/deflate replies", [zipped(JSON, "deflate")]),
    Scenario("a chunked reply", "2 framings", [[head(200, {"Content-Type": "application/json",
                                                          "Transfer-Encoding": "chunked"}),
                                               b"%x\r\n%s\r\n0\r\n\r\n" % (len(JSON), JSON)]]),
    Scenario("a number of 400 digits", "4 JSON", [typed(JSON[:-1] + b',"x":' + b"7" * 400 + b"}")])]

ODD_GOOD = [
    Scenario(f"200 whose body is {name}", "4 2xx that is not the JSON asked for", [typed(body, kind)], words=words, better=why)
    for name, body, kind, words, why in (
        ("JSON under text/plain", JSON, "text/plain", "", "JSON is JSON, whatever it is called"),
        ("JSON without a type", JSON, "", "", "JSON is JSON, whatever it is called"),
        ("JSON with a BOM", b"\xef\xbb\xbf" + JSON, "application/json", "", "the mark is dropped"),
        ("a web page", b"<!doctype html><title>Login</title>", "text/html", "base_url",
         "an error that says so, with a hint at base_url"),
        ("a web page called JSON", b"<html>Login</html>", "application/json", "base_url",
         "an error that says so, with a hint at base_url"),
        ("empty", b"", "application/json", "empty", "an error that says so"),
        ("null", b"null", "application/json", "null", "an error that says so"),
        ("a list", b"[1, 2]", "application/json", "[1, 2]", "an error that says so"),
        ("a string", b'"hello"', "application/json", "hello", "an error that says so"),
        ("a number", b"42", "application/json", "42", "an error that says so"),
        ("an error", b'{"error":{"message":"overloaded","code":"busy"}}', "application/json", "overloaded",
         "an error is an error"),
        ("a string under error", b'{"error":"overloaded"}', "application/json", "overloaded", "an error is an error"),
        ("plain text", b"It works!", "text/plain", "It works!", "an error that says so"))]

ODD_GOOD += [
    Scenario("200 whose body is cut JSON", "10 Cut JSON may be retried", [typed(JSON[:-9]), OK],
             better="a cut answer is asked for again"),
    Scenario("200 whose body is cut JSON, for ever", "10 Cut JSON may be retried", [typed(JSON[:-9])], words="half way",
             better="an error that says so"),
    Scenario("200 whose body is very deep JSON", "4 JSON", [typed(b"[" * 100_000)], words="200, but",
             better="an error of ours, not RecursionError"),
    Scenario("200 with a number of 5000 digits", "4 JSON", [typed(b'{"x":' + b"7" * 5000 + b"}")], words="200, but",
             better="an error of ours, not ValueError"),
    Scenario("204", "4 2xx that is not the JSON asked for", [head(204, ID)], words="204",
             better="an error that says so"),
    Scenario("models: a web page", "4 2xx that is not the JSON asked for", [typed(b"<html>Hi</html>", "text/html")],
             [call("models")], words="base_url", better="an error that says so, with a hint at base_url"),
    Scenario("moderation: an error under 200", "4 2xx that is not the JSON asked for",
             [typed(b'{"error":{"message":"overloaded"}}')], [call("moderate", "x")], words="overloaded",
             better="an error is an error")]

REDIRECTS = [
    Scenario(f"{status} to the same origin", "2 307/308 to the same origin",
             [head(status, Location="{origin}/v2/chat", Content_Length=0), OK])
    for status in (307, 308)]

REDIRECTS += [
    Scenario(f"{status} of a POST", "2 301/302/303 of a POST",
             [head(status, Location="{origin}/v2/chat", Content_Length=0, **{"x-request-id": "req_1"}), OK],
             words="/v2/chat", better="a question is not turned into a GET without it")
    for status in (301, 302, 303)]

REDIRECTS += [
    Scenario("307 to a relative place", "2 307/308 to the same origin", [head(307, Location="../x?y=1", Content_Length=0), OK]),
    Scenario("307 of a stream's request", "2 307/308 to the same origin",
             [head(307, Location="/elsewhere", Content_Length=0), answer(FULL, 400)], [STREAM]),
    Scenario("308 five times", "2 at most 5", [*[head(308, Location=f"/{n}", Content_Length=0) for n in range(5)], OK]),
    Scenario("307 to another origin", "2 another origin",
             [head(307, Location="http://localhost:{port}/v1/chat/completions", Content_Length=0), OK], words="localhost",
             better="neither key nor question goes there"),
    Scenario("307 in a loop", "2 a loop", [head(307, Location="/v1/chat/completions", Content_Length=0)],
             words="/v1/chat/completions", better="five times are enough to know"),
    Scenario("307 without a place", "2 APIStatusError that names the location", [head(307, Content_Length=0)],
             words="nowhere"),
    Scenario("307 to what is no URL", "2 APIStatusError that names the location",
             [head(307, Location="http://[half", Content_Length=0)], words="http://[half"),
    Scenario("302 of a GET", "2 redirects", [head(302, Location="/v2/models", Content_Length=0),
                                             answer({"object": "list", "data": []})], [call("models")]),
    Scenario("304", "2 redirects", [head(304, ID)])]

SCENARIOS = [*CLASSES, *ODD_ERRORS, *MORE_ERRORS, *GOOD, *ODD_GOOD, *REDIRECTS]
