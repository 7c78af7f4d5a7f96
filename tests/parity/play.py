"""Plays every scenario to one side and prints what was seen, one JSON line for each.

    python -m tests.parity.play the_sdk       (with a Python that has openai)
    python -m tests.parity.play the_client    (with one that has rawchat's dependencies)

What was seen is a dict of plain fields: `request.line`, `requests`, `connections`, `waits`, `text`, `error` …
Ports and versions are taken out of it, so that it is the same in every run.
"""

import contextlib
import enum
import importlib
import itertools
import json
import os
import pickle
import re
import socket
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.server import PATIENCE, Seen, Server

from .scenario import KEY, Call, Scenario, untitled, without_nulls
from .scenarios import ALL

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MATTER = re.compile(
    "accept|accept-encoding|authorization|content-(type|length)|cookie|openai-.*|proxy-.*|user-agent|"
    "x-(?!stainless).*"
)
SETTING = re.compile(
    "OPENAI_|RAWCHAT_|MODEL_NAME|(HTTPS?|ALL|NO)_PROXY|SSL_CERT|REQUESTS_CA|CURL_CA", re.IGNORECASE
)
SPELLED = {"status_code": "status", "request_id": "request id"}
STREAMS = {"stream", "stream_complete"}
TEXTLESS = {
    *("models", "model", "moderate", "image", "embed", "transcribe", "speak", "upload", "content"),
    *("post", "get", "delete", "respond", "response_events"),
}


def main(name: str) -> None:
    side = importlib.import_module(f"tests.parity.{name}")
    sys.addaudithook(stay_here)
    for variable in filter(SETTING.match, list(os.environ)):
        del os.environ[variable]
    for scenario in ALL:
        print(json.dumps({"name": scenario.name, "seen": played(scenario, side)}), flush=True)


def stay_here(event: str, args: Any) -> None:
    """Nothing goes beyond loopback, whatever a side makes of its settings."""
    if event == "socket.getaddrinfo" and args[0] not in LOOPBACK:
        raise OSError(f"{args[0]} is not on this machine")


def played(scenario: Scenario, side: Any) -> dict[str, Any]:
    """What was seen of `scenario`, by the server and by the caller."""
    script = (
        scenario.played
        if scenario.played and side.__name__.endswith("the_client")
        else scenario.script
    )
    with dead_port() as dead, Server(()) as server, tempfile.TemporaryDirectory() as folder:
        names = {
            "{url}": server.url,
            "{origin}": server.origin,
            "{port}": str(server.port),
            "{dead}": dead,
        }
        server.script = filled(script, names)
        settings = {
            "base_url": server.url,
            "api_key": KEY,
            "timeout": PATIENCE / 2,
            **filled(scenario.client, names),
        }
        with (
            living_in(folder, filled(scenario.files, names)),
            variables(filled(scenario.environ, names)),
        ):
            waits: list[float] = []
            answers = called(
                scenario, side, {n: v for n, v in settings.items() if v is not None}, waits
            )
        seen = {**wire(server.requests), "waits": waits, **answers}
        places = {f":{server.port}": ":PORT", f":{dead}": ":DEAD"}
    kept = {
        name: value
        for name, value in flat(seen).items()
        if not scenario.look or name.startswith(scenario.look)
    }
    return filled(kept, places)


def called(
    scenario: Scenario, side: Any, settings: Mapping[str, Any], waits: list[float]
) -> dict[str, Any]:
    """What the caller saw: of one call its fields, of several each under its number."""
    answers: list[dict[str, Any]] = [{} for _ in scenario.calls]
    try:
        client = side.opened(settings, scenario.added, waits)
    except Exception as error:
        return failure(error, scenario)
    with contextlib.closing(client):
        for call, saw in zip(scenario.calls, answers):
            try:
                say(call, side, client, saw)
            except Exception as error:
                saw.update(failure(error, scenario))
    return (
        answers[0] if len(answers) == 1 else {f"call {n}": saw for n, saw in enumerate(answers, 1)}
    )


def say(call: Call, side: Any, client: Any, saw: dict[str, Any]) -> None:
    """Make one call and write down what comes, as it comes."""
    if call.verb == "await":
        assert call.args[0].wait(PATIENCE)
        return
    params = dict(call.params)
    gates, take = params.pop("gates", ()), params.pop("take", None)
    reply = side.VERBS[call.verb](client, *call.args, **params)
    if call.verb in STREAMS:
        saw.update(chunks=0, text="")
        with reply:
            read(itertools.islice(reply, take), gates, side, saw)
    elif call.verb == "parse":
        saw["built"] = built(reply)
    elif call.verb != "close":
        saw["reply"] = without_nulls(side.dumped(reply))
        saw["request id"] = side.request_id(reply)
        if call.verb not in TEXTLESS:
            saw["text"] = side.text(reply) or ""


def built(value: Any) -> Any:
    """An instance with its classes: {"Node": {"value": 1, …}}; members of an Enum by their names."""
    if isinstance(value, enum.Enum):
        return str(value)
    if isinstance(value, list):
        return [built(item) for item in value]
    if hasattr(value, "__dict__"):
        return {type(value).__name__: {name: built(item) for name, item in vars(value).items()}}
    return value


def read(
    chunks: Iterator[Any], gates: Sequence[threading.Event], side: Any, saw: dict[str, Any]
) -> None:
    """Read a stream.  Each chunk opens a gate, behind which the server holds the next."""
    for number, chunk in enumerate(chunks):
        saw["chunks"] += 1
        saw["text"] += side.text(chunk) or ""
        if number < len(gates):
            gates[number].set()


def failure(error: Exception, scenario: Scenario) -> dict[str, Any]:
    """What an error tells, in its fields and in words."""
    home = type(error).__module__.partition(".")[0]
    name = type(error).__name__
    facts = {"error": name if home in ("openai", "rawchat", "builtins") else f"{home}.{name}"}
    for field in ("status_code", "code", "param", "type", "request_id", "body"):
        facts[SPELLED.get(field, field)] = getattr(error, field, None)
    if scenario.words:
        facts["tells"] = scenario.words in str(error)
    if "pickles" in scenario.also:
        facts["pickles"] = pickles(error)
    if "key shown" in scenario.also:
        facts["key shown"] = KEY in "".join(
            traceback.format_exception(type(error), error, error.__traceback__)
        )
    partial = getattr(error, "partial", None)
    return {**facts, "partial": None if partial is None else partial.text}


def pickles(error: Exception) -> bool:
    try:
        return str(pickle.loads(pickle.dumps(error))) == str(error)
    except Exception:
        return False


def wire(requests: list[Seen]) -> dict[str, Any]:
    """What the server saw: the first request, and what the others had different."""
    told = [request(seen) for seen in requests]
    changed = {
        str(n): {
            name: one.get(name) for name in {**told[0], **one} if one.get(name) != told[0].get(name)
        }
        for n, one in enumerate(told[1:], 2)
    }
    return {
        "requests": len(told),
        "connections": len({seen.connection for seen in requests}),
        "request": told[0] if told else {},
        "changed": {n: fields for n, fields in changed.items() if fields},
    }


def request(seen: Seen) -> dict[str, Any]:
    """A request: its line, its body, its response_format apart from it, and the headers that matter.

    The boundary of a form is another in each request, and is taken out of it.
    """
    headers: dict[str, Any] = {
        name: seen.headers[name] for name in sorted(seen.headers) if MATTER.fullmatch(name)
    }
    _, form, boundary = headers.get("content-type", "").partition("boundary=")
    if form:
        headers["content-type"] = headers["content-type"].replace(boundary, "BOUNDARY")
    try:
        body = seen.json if seen.body else None
    except ValueError:
        body = repr(seen.body)
        if form:
            body = body.replace(boundary, "BOUNDARY")
    if "content-length" in headers:
        headers["content-length"] = int(headers["content-length"])
    headers["user-agent"] = re.sub(
        "^(OpenAI/Python|rawchat/).*", "its own", headers.get("user-agent", "none")
    )
    told = {"line": f"{seen.method} {seen.target}", "body": body, **headers}
    if isinstance(body, dict) and "response_format" in body:
        told["response_format"] = untitled(body.pop("response_format"))
    return told


def flat(seen: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """One level of fields: `request.line`.  What is None is left out; bodies and replies stay whole."""
    whole: dict[str, Any] = {}
    for name, value in seen.items():
        if isinstance(value, dict) and (
            name.startswith("call ") or (name in ("request", "changed") and not prefix)
        ):
            whole.update(flat(value, f"{name}."))
        elif value is not None:
            whole[prefix + name] = value
    return whole


def filled(value: Any, names: Mapping[str, str]) -> Any:
    """`value` with each of `names` replaced in all its texts and bytes."""
    if isinstance(value, str):
        for name, text in names.items():
            value = value.replace(name, text)
    elif isinstance(value, bytes):
        for name, text in names.items():
            value = value.replace(name.encode(), text.encode())
    elif isinstance(value, dict):
        return {filled(name, names): filled(item, names) for name, item in value.items()}
    elif type(value) in (list, tuple):
        return type(value)(filled(item, names) for item in value)
    return value


@contextlib.contextmanager
def dead_port() -> Iterator[str]:
    """A port that is taken, and at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield str(taken.getsockname()[1])


@contextlib.contextmanager
def living_in(folder: str, files: Mapping[str, str]) -> Iterator[None]:
    """With `folder` as the working directory, and `files` in it."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        for name, content in files.items():
            with open(name, "w", encoding="utf-8") as file:
                file.write(content)
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def variables(environ: Mapping[str, str]) -> Iterator[None]:
    """With these environment variables, which were not set before."""
    os.environ.update(environ)
    try:
        yield
    finally:
        for name in environ:
            del os.environ[name]


if __name__ == "__main__":
    threading.excepthook = lambda told: (
        None
    )  # a server whose client left in the middle has nothing to say
    main(sys.argv[1])
