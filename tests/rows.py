"""The rows of the behaviour table, by number: `@row("3.2")` on a test says that it proves that row.

`=`: the same as openai-python 3.52.0.  `>`: better.

    python -m tests.rows             write docs/behaviour.md
    python -m tests.rows 3.2 5       print the tests of row 3.2 and of all rows of section 5
"""

import ast
import functools
import pathlib
import sys
from collections.abc import Sequence

TESTS = pathlib.Path(__file__).parent
PAGE = TESTS.parent / "docs" / "behaviour.md"
SECTIONS = {
    "1": "Request",
    "2": "Time, connections, redirects",
    "3": "Retries",
    "4": "Replies and errors",
    "5": "Streams",
    "6": "The merged reply of a stream",
    "7": "Structured output",
    "8": "Pitfalls of requests and sseclient-py",
    "9": "The user's machine",
    "10": "Decisions where two readings were possible",
    "11": "Servers that claim OpenAI compatibility",
    "12": "Difficult networks",
    "13": "Everyday use of the command line and of bulk",
    "14": "Any endpoint",
}
ROWS = {
    "1.1": "= the paths of the endpoints under the base path, which is never dropped; trailing slashes are folded",
    "1.2": "> a base_url with a query keeps both path and query",
    "1.3": "= a model id is percent-encoded as one segment; `.` and `..` are refused",
    "1.4": "= headers: extra_headers override default_headers, which override the built-in ones; case-insensitive; None removes",
    "1.5": "= the environment is read when a client is made, not at import",
    "1.6": "= compact UTF-8 JSON; NaN refused; None is null; extra_body wins; a generator is read once",
    "1.7": "> bytes in messages and lone surrogates are refused, with their place",
    "1.8": "> a key is trimmed, or refused when the client is made, with the position and never the key",
    "1.9": "> ~/.netrc never replaces the key; proxies and CA settings keep working",
    "1.10": "> a base_url with user:password@, a fragment or another scheme is refused",
    "1.11": "= no key and OpenAI's base_url is an error; api_key may be a function; > no key is fine elsewhere",
    "1.12": "> http:// with a key only to loopback, or with allow_http",
    "1.13": "> .env: the working directory only, our names only, never redirects an inherited key",
    "2.1": "= timeouts: 5 s to connect, 600 s for each read; per call",
    "2.2": "> deadline: one bound on attempts, waits, body and stream",
    "2.3": "= one pool, safe for threads: 128 at once without a warning; idle closed connections are replaced",
    "2.4": "> a stream that ended in [DONE] gives its connection back; reading on is bounded",
    "2.5": "> a client survives fork and pickling",
    "2.6": "= 307/308 within the origin are followed, at most 5; > all others are errors that name the place",
    "2.7": "= gzip and deflate, proxies, close(), with; a call after close() is an error",
    "2.8": "> max_bytes bounds bodies, error bodies, events and lines, unpacked",
    "2.9": "> no cookies; bytes that arrive unrequested are never taken for a response",
    "2.10": "> a deadline also ends headers that drip byte by byte",
    "3.1": "= 408, 409, 429, 5xx, connection errors, timeouts, cut bodies are retried; x-should-retry overrules",
    "3.2": "= the waits: own backoff, retry-after-ms, Retry-After; over 120 s no retry",
    "3.3": "= streams are retried until good headers have arrived, never after",
    "3.4": "> 429 with insufficient_quota is not retried",
    "3.5": "= exceptions that do not come from the network are raised at once",
    "3.6": "= .retries on replies and errors; a log line for each retry",
    "3.7": "> with several keys, 401 and 429 move on to the next key",
    "4.1": "= the tree of errors; body, code, param, type, request id",
    "4.2": "> the message keeps what the server said, with status and request id",
    "4.3": "> a 2xx that is not the JSON asked for is an error with an excerpt and a hint",
    "4.4": "> every exception pickles",
    "4.5": "> no key in any message, repr, log line, traceback or pickled error",
    "4.6": "= unknown fields are kept, missing ones tolerated",
    "5.1": "= a chunk is delivered the moment it arrives, in all framings and with gzip",
    "5.2": "= [DONE] ends; comments, pings, empty data, ids and retry lines are ignored",
    "5.3": "= LF, CRLF, CR, cut at any byte; > a BOM is dropped, invalid UTF-8 becomes U+FFFD",
    "5.4": "> an end without [DONE] and without finish_reason is a StreamInterruptedError; after the last finish_reason [DONE] is "
    "waited for ten seconds",
    "5.5": "> a last event without its blank line counts only if it is whole",
    "5.6": "> cut bodies, resets, silence: StreamInterruptedError with .partial, after what had arrived whole",
    "5.7": "> errors inside a stream are raised; events without content are skipped",
    "5.8": "> a 200 with JSON instead of events: an error raises, a completion is one chunk; HTML and an empty body raise",
    "5.9": "> bad JSON in an event is an error with an excerpt",
    "5.10": "= leaving the loop, close() and the end of a with block free the connection; a second iteration yields nothing",
    "5.11": "> a 10 MB event, a 2 MB line, 80,000 lines cost linear time",
    "6.1": "the merged reply equals the plain one",
    "7.1": "> strict schemas of dataclass, TypedDict, Enum, Literal, Optional, Union, list, nested and recursive types",
    "7.2": "> what strict JSON Schema cannot hold is a TypeError before sending",
    "7.3": "> the answer is checked and built; otherwise an error that keeps the reply (mismatch, refusal, truncation)",
    "7.4": "> a pydantic model passed in works; pydantic is never imported",
    "8.1": "pieces are prompt in every framing; what was buffered is not lost when the connection breaks",
    "8.2": "sseclient is handed one whole, clean, LF-ended event at a time",
    "8.3": "completeness is not left to HTTP",
    "8.4": "no bare exception of the libraries below",
    "8.5": "keys are validated before requests sees them; causes carry no frames that hold headers",
    "8.6": "bodies are UTF-8 whatever the charset says; deep JSON and huge numbers are clean errors",
    "8.7": "environment and netrc are not read on each call",
    "8.8": "fork, pickle, cookies, pool size, a loop that is left",
    "8.9": "PyPI's `sseclient` has the same module name as sseclient-py: recognised, and reported in one line",
    "9.1": "> network data is printed to a terminal without control characters; a pipe gets the bytes",
    "9.2": "> no option takes a key's value",
    "9.3": "> conversation files have mode 0600 from their first byte, never through a symbolic link; a saved history is "
    "replaced atomically",
    "9.4": "> TLS is always verified",
    "9.5": "> pickled clients: a key from the environment is read anew, one that was passed is pickled; repr shows neither",
    "10.1": "settings live in the config; the default chat model is never added to moderations or images",
    "10.2": ".body is the value of error whatever its shape; error texts are one line",
    "10.3": "an empty stream, and one of nothing but [DONE], raise; [DONE] is a prefix",
    "10.4": "a deadline in a stream raises DeadlineExceededError itself, with .partial",
    "10.5": "merged: object, order of choices, tool calls without index, equal repeats count once",
    "10.6": "stream_chat sends at once; Reply.texts is a property, Stream.texts() a method",
    "10.7": 'api_key="" is no key; settings one by one; base_url from .env with a key from elsewhere is refused',
    "10.8": "OPENAI_API_KEYS: commas, blanks trimmed; a fresh key at once, a 5xx keeps its key",
    "10.9": "max_retries is a whole number; flat queries, repeated lists, true/false",
    "10.11": "errors of parse hold .reply; a reply that is one fenced JSON block is accepted",
    "10.10": "cut JSON may be retried; HTML, empty and null bodies are not",
    # Section 11.
    "11.1": "> a tool-call delta finds its call: a new one starts at a new index, at a name after complete arguments, at another "
    "id with a name; another id alone continues the call; ids may be numbers, empty or repeated",
    "11.2": "> a final message is normalised once: arguments and ids are texts, tool_calls is a list of objects with an id each, "
    "stubs are gone",
    "11.3": "> texts and lists of parts append in order of arrival; a whole message after its deltas counts once",
    "11.4": "> lists of objects merge by index; only text, data, summary and arguments are concatenated",
    "11.5": "> what is sent back is what was received; `content: null` that a server refuses is sent once more as a text, and "
    "without a field of an answer (reasoning) that it refuses by name",
    "11.6": "> parse asks once more in JSON mode where json_schema is refused by name; the answer is checked as always",
    "11.7": "> errors are found wherever servers put them, under any status; an error object with empty fields does not count",
    "11.8": "> a chat answer in which no choice ever arrived is an error with an excerpt",
    "11.9": "> a context overflow is recognised by its wording, never under 429; History halves its window",
    "11.10": "> a trailing stop does not replace tool_calls; an unusual finish reason is a line on standard error, with --strict "
    "exit code 9",
    "11.11": "> usage is read from the top level, the choices or x_groq; cumulative values are not added up",
    "11.12": "> what rawchat adds by itself (stream_options, strict, additionalProperties) is left out once a 400 or 422 names it",
    "11.13": "> half of a surrogate pair is held back until its other half arrives",
    "11.14": "> a plain call answered with an event stream is merged, a stream of JSON lines too; an encoding that was not "
    "requested is named",
    "11.15": "> parse and --schema read the JSON that follows the reasoning in a text: </think>, </thought>, [/THINK] and others",
    "11.16": "> a wait given only in the body is honoured like Retry-After",
    "11.17": "> a bare list of models, or one under `models`, is a list of models; b64_json may have a data: prefix",
    "11.18": "> no odd shape raises anything but a RawchatError, hangs, or loses text that arrived whole",
    # Section 12.
    "12.1": "> this machine never goes through a proxy of the environment; proxy= and --proxy name one explicitly; a key for this "
    "machine never goes over plain http to a proxy on another",
    "12.2": "= NO_PROXY: names, suffixes, `*`, addresses, IPv4 and IPv6 networks, ports; IPv6 with or without brackets",
    "12.3": "= SOCKS proxies with PySocks; otherwise an error that says what to install and which variable named the proxy",
    "12.4": "> proxy credentials hold any character and are never shown; what a proxy refuses, or answers itself, is reported as "
    "the proxy's, with its host and port",
    "12.5": "> CA certificates from arguments, four variables or the operating system; verification cannot be disabled",
    "12.6": "> what a retry cannot fix is not retried, and each hint fits its cause",
    "12.7": "> TCP keep-alive is on",
    "12.8": "> a .env of another tool never stops anything; a malformed line of ours is reported with its number",
    "12.9": "> frozen by PyInstaller, under gevent and eventlet, in threads, with standard streams replaced or closed",
    # Section 13.
    "13.1": "> a pipe that stays open without data is reported after a moment; --no-stdin leaves it alone",
    "13.2": "> without a key, the local model answers only on a terminal and if no model was named; otherwise the exit code is 3",
    "13.3": "> a setting that nearly matches one of the client's, a key or a URL under another name: refused, with the right name",
    "13.4": "> an error on a file names it and the reason, a full disk too; UTF-16 is read, what is not text is reported",
    "13.5": "> a refusal, a cut answer, an unusual end and a broken stream are reported in words for a person",
    "13.6": "> --max-tokens is sent once more as max_completion_tokens if the model requires that; --help says so",
    "13.7": "> bulk: one writer per output; a second run exits with 2",
    "13.8": "> bulk: Ctrl-C and SIGTERM finish the rows under way",
    "13.9": "> bulk: a row without an id is recognised by its content",
    "13.10": "> bulk: UTF-16, UTF-32 and gzip are decoded; what is not text is refused, never sent",
    "13.11": "> bulk: a used-up quota or a refused key ends the run and leaves its rows",
    "13.12": "> bulk: a 429 pauses all workers: it costs time, not rows",
    "13.13": "> bulk: a rerun reports what the output holds; earlier failures count in its exit code",
    "13.14": "> bulk: RAWCHAT_…, -H and --deadline apply",
    "13.15": "> bulk: `run_rows` and `main` work in any thread",
    # Section 14.
    "14.1": "= post, get, delete and stream reach every path below base_url; both queries are kept; > a path that leads out of "
    "base_url is refused",
    "14.2": "> an absolute URL of another origin gets no key, no default header and no default query",
    "14.3": "= they have the retries, deadline, errors, trace and on_reply of the other verbs",
    "14.4": "= files in a body make it multipart/form-data, with the names and types that the SDK sends",
    "14.5": "> an upload is read from disk while it is sent, in constant memory, and whole again for a retry; a file that is "
    "missing, changes or cannot be read is a clear error, and a refusal before the end is read",
    "14.6": "> a response that is not JSON is bytes with their content type, saved while they arrive; a cut one leaves no file",
    "14.7": "= embed: vectors as floats in input order, requested as base64; > a server may ignore or refuse that; batches",
    "14.8": "= transcribe and speak; > a web page or an error in place of text or sound is an error",
    "14.9": "= /v1/responses through post and stream: events keep their names, no [DONE] is expected; > an error event or an early "
    "end raises, with .partial",
    "14.10": "> --post, --get, --form and --embed do the same at a shell: JSON byte for byte, a line of JSON per event or input, "
    "with --dry-run, --curl, --trace, --har, --replay, -v and --log",
}


@functools.cache
def proofs() -> dict[str, list[str]]:
    """The tests that name each row, as 'folder/test_file.py::test_name'; all test files are parsed, once."""
    found: dict[str, list[str]] = {number: [] for number in ROWS}
    for path in sorted(TESTS.rglob("test_*.py")):
        name = path.relative_to(TESTS).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for mark in getattr(node, "decorator_list", ()):
                if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "row":
                    for number in mark.args:
                        found[ast.literal_eval(number)].append(f"{name}::{node.name}")
    return found


HEADING = """# How rawchat behaves, row by row

`=` behaves the same as openai-python 3.52.0, `>` is better; a row without a sign has no counterpart there. Every row has at
least one test that proves it. To list the tests of a row, or of a section:

```console
$ python -m tests.rows 4.4
{example}
$ pytest $(python -m tests.rows 12)
```

`python -m tests.rows` writes this page, and a test fails when it is stale.
"""


def page() -> str:
    """Return docs/behaviour.md: one line per row."""
    lines = [HEADING.format(example=tests_of(["4.4"]))]
    section = ""
    for number, text in ROWS.items():
        if number.split(".")[0] != section:
            section = number.split(".")[0]
            lines += [
                "",
                f"## {section}. {SECTIONS[section]}",
                "",
                "| row | | |",
                "| --- | --- | --- |",
            ]
        lines.append(table_row(number, text))
    return "\n".join(lines) + "\n"


def table_row(number: str, text: str) -> str:
    """Return one row as a line of a Markdown table, its sign in a cell of its own.

    >>> table_row("1.7", "> bytes are refused")
    '| 1.7 | > | bytes are refused |'
    """
    sign = ""
    if text[:2] in ("= ", "> "):
        sign, text = text[0], text[2:]
    return f"| {number} | {sign} | {text.replace('|', chr(92) + '|')} |"


def tests_of(wanted: Sequence[str]) -> str:
    """Return the tests of these rows and sections, a line each, in the form that pytest takes."""
    lines: list[str] = []
    for number, tests in proofs().items():
        if number in wanted or number.split(".")[0] in wanted:
            lines += [f"tests/{test}" for test in tests]
    return "\n".join(dict.fromkeys(lines))


def main(wanted: Sequence[str]) -> int:
    """Print the tests of the rows in `wanted`, or write the page if there are none."""
    unknown = [name for name in wanted if name not in ROWS and name not in SECTIONS]
    if unknown:
        names = ", ".join(unknown)
        print(f"no such row or section: {names}; see docs/behaviour.md", file=sys.stderr)
        return 2
    if wanted:
        print(tests_of(wanted))
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
