"""The places where the official SDK cannot be installed: tight, bare, or with another package of the same name."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
from typing import Any, Optional

import pytest
import sseclient

import rawchat

from .server import HELLO, answer, completion, serving, streamed

row = pytest.mark.row
SITE = str(pathlib.Path(sseclient.__file__).parent.parent)
ROOT = str(pathlib.Path(rawchat.__file__).parent.parent)
ALL = sorted(
    ".".join(path.relative_to(pathlib.Path(ROOT, "rawchat")).with_suffix("").parts).replace(
        ".__init__", ""
    )
    for path in pathlib.Path(ROOT, "rawchat").rglob("[a-z]*.py")
    # The doctor examines TLS, and says in one line that it needs ssl; SOCKS needs an extra.
    if path.parent.name != "doctor" and path.name != "socks.py"
)


def python(code: str, *options: str, path: Optional[list[str]] = None, **env: str) -> Any:
    """Run `code` in a Python of its own, with `path` before all else."""
    code = f"import sys; sys.path[:0] = {[ROOT] if path is None else path!r}\n{code}"
    return subprocess.run(
        [sys.executable, *options, "-c", code],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **env},
        timeout=60,
    )


# ---- tight places: what is taken away first, the options of Python, the environment

NO_DISK = """
import os
def refuse(event, args):
    if event == "open":
        path, mode, flags = args            # `open` has a mode, `os.open` only flags
        if set("wax+") & set(mode) if mode else flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(30, "Read-only file system", path)
sys.addaudithook(refuse)
"""
NO_THREADS = """
import threading
def refuse(thread): raise RuntimeError("can't start new thread")
threading.Thread.start = refuse
"""
PLACES: dict[str, tuple[str, list[str], dict[str, str]]] = {
    "as it is": ("", [], {}),
    "no threads": (NO_THREADS, [], {}),
    "no ssl": ("sys.modules['ssl'] = sys.modules['_ssl'] = None", [], {}),
    "no readline": ("sys.modules['readline'] = None", [], {}),
    "no writable disk": (NO_DISK, ["-B"], {"HOME": "/nonexistent"}),
    "-S -I -O": (f"sys.path.append({SITE!r})", ["-S", "-I", "-O"], {}),
    "docstrings stripped": ("", ["-OO"], {}),
    "warnings are errors": ("", ["-W", "error"], {}),
    "no time zones": ("", [], {"TZ": "Nowhere/Never", "PYTHONTZPATH": ""}),
    "LANG=C": ("", [], {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
}
JOB = """
import importlib, json
for name in {modules}:
    importlib.import_module("rawchat." + name)
import rawchat
from rawchat import backoff, stream
date = "Sun, 06 Nov 1994 08:49:37 GMT"
if backoff.retry_after({{"retry-after": date}}, lambda: 784111770.0) != 7: sys.exit("dates")
sent = []
def transport(request):
    sent.append(json.loads(request.body))
    return rawchat.Response(200, {{}}, {pieces!r} if sent[-1].get("stream") else [{plain!r}])
client = rawchat.Client(base_url={url!r}, transport=transport, environ={{}})
if client.chat("\\xfc").text != "H\\xe4": sys.exit("chat")
if sent[0]["messages"] != [{{"role": "user", "content": "\\xfc"}}]: sys.exit("request")
if list(client.stream_chat("Hi").texts()) != ["Hel", "lo"]: sys.exit("stream")
client = rawchat.Client(base_url={url!r}, environ={{}})
if client.chat("Hi").text != "Hello": sys.exit("call")
if client.stream_chat("Hi").reply.text != "Hello": sys.exit("streamed call")
sys.stdout.write("well")
"""


@pytest.mark.parametrize("place", PLACES)
def test_it_works_in_a_tight_place(place: str) -> None:
    """Every module is imported; requests are built, streams decoded, and a real call goes over the loopback."""
    prepare, options, env = PLACES[place]
    with serving(answer(completion()), streamed()) as server:
        job = JOB.format(
            modules=ALL, pieces=HELLO, plain=json.dumps(completion("Hä")).encode(), url=server.url
        )
        done = python(prepare + "\n" + job, *options, **env)
    assert (done.stdout, done.stderr, done.returncode) == ("well", "", 0)


def test_the_pure_parts_need_no_dependency_at_all() -> None:
    code = """
        import importlib
        for name in NAMES:
            try:
                importlib.import_module(f"rawchat.{name}")
            except ModuleNotFoundError as error:
                print(name, "needs", error.name)
        """
    done = python(textwrap.dedent(code).replace("NAMES", repr(ALL)), "-S", "-I", "-O")
    needy = dict(line.split(" needs ") for line in done.stdout.splitlines())
    assert done.stderr == ""
    assert set(needy.values()) == {"requests", "sseclient"}
    assert not set(needy) & {
        "errors",
        "backoff",
        "wire",
        "reply",
        "config",
        "endpoints",
        "schema",
        "usage",
        "merge",
    }


@pytest.mark.parametrize(
    ("prepare", "settings", "said"),
    [
        (
            PLACES["no ssl"][0],
            "base_url='https://localhost:9/v1'",
            "ConfigError: https:// needs the ssl module",
        ),
        (
            NO_THREADS,
            "base_url='http://localhost:{port}/v1', deadline=9",
            "ConfigError: a deadline needs a thread",
        ),
        ("sys.modules['requests'] = None", "base_url='http://localhost:{port}/v1'", "requests"),
        ("sys.modules['sseclient'] = None", "base_url='http://localhost:{port}/v1'", "sseclient"),
    ],
)
def test_what_cannot_work_says_why_in_one_line(prepare: str, settings: str, said: str) -> None:
    with serving(answer(completion())) as server:
        settings = settings.format(port=server.port)
        done = python(
            f"{prepare}\nimport rawchat\nrawchat.Client({settings}, environ={{}}).chat('Hi')"
        )
    assert done.returncode == 1
    assert said in done.stderr.splitlines()[-1]


ASKING = "import runpy; sys.argv[1:] = ['--base-url', 'http://localhost:9/v1', 'Q']; runpy.run_module('rawchat')"


def test_the_command_line_says_in_one_line_which_dependency_is_missing() -> None:
    done = python(f"sys.modules['sseclient'] = None; {ASKING}")
    assert done.returncode == 1
    assert done.stderr.startswith("rawchat: ")
    assert done.stderr.count("\n") == 1


LOOKALIKE = "class Event: pass\nclass SSEClient:\n    def __init__(self, url): pass\n"  # as in sseclient 0.0.27


@row("8.9")
def test_another_package_with_the_name_of_sseclient_is_recognised(tmp_path: pathlib.Path) -> None:
    (tmp_path / "sseclient.py").write_text(LOOKALIKE, encoding="utf-8")
    done = python(ASKING, path=[str(tmp_path), ROOT])
    assert done.returncode == 1
    assert done.stderr == (
        "rawchat: the installed `sseclient` is not sseclient-py: pip uninstall -y sseclient && "
        "pip install --force-reinstall sseclient-py\n"
    )


# ---- no side effects

AUDIT = """
import os, threading
read = []
class Environ(dict):
    def __getattribute__(self, name): read.append(("environ", name)); return dict.__getattribute__(self, name)
    def __getitem__(self, name): read.append(("environ", name)); return dict.__getitem__(self, name)
def hook(event, args):
    if event == "open" and not str(args[0]).startswith({own!r}): read.append((event, args[0]))
    elif event.split(".")[0] in ("socket", "subprocess", "_thread", "os", "ctypes") and event != "os.listdir":
        read.append((event, args))
{before}
os.environ = Environ(os.environ)
sys.addaudithook(hook)
{act}
os.environ, seen = {{}}, list(read)
import logging
print(seen, threading.active_count(), logging.getLogger().handlers, logging.getLogger("rawchat").handlers)
"""


def audited(act: str, before: str = "") -> str:
    done = python(AUDIT.format(own=os.path.join(ROOT, "rawchat"), act=act, before=before))
    assert done.stderr == ""
    return str(done.stdout).strip()


def test_importing_has_no_side_effect() -> None:
    """Of the disk it reads its own files, and nothing of the environment, sockets, threads or logging."""
    assert audited("import rawchat", before="import importlib, typing") == "[] 1 [] []"


def test_importing_every_module_has_no_side_effect_of_ours() -> None:
    """What the standard library and the dependencies do when they are imported is theirs: they come first."""
    theirs = "import requests, urllib3, sseclient, urllib.request, email.utils, asyncio, argparse, concurrent.futures"
    stdlib = "import " + ", ".join(
        sorted({"json", "dataclasses", "typing", "random", "logging", "http.client"})
    )
    ours = "\n".join(f"import rawchat.{name}" for name in ALL)
    loaded = (
        f"{theirs}\n{stdlib}\n{ours}\nfor name in list(sys.modules):\n    if name.startswith('rawchat'): "
        "del sys.modules[name]"
    )
    assert audited(ours, before=loaded) == "[] 1 [] []"


def test_the_audit_does_see_side_effects() -> None:
    seen = audited(
        f"open({os.devnull!r}).close(); os.environ.get('HOME'); import socket; socket.socket().close()"
    )
    assert all(word in seen for word in ("'open'", "'environ'", "socket.__new__"))


def test_importing_takes_at_most_a_third_of_what_the_dependencies_take() -> None:
    """The best of five, each in a Python of its own, one after the other in the same run."""

    def seconds(what: str) -> float:
        clock = f"import time; start = time.perf_counter(); import {what}; print(time.perf_counter() - start)"
        return min(float(python(clock).stdout) for _ in range(5))

    assert seconds("rawchat") <= 0.35 * seconds("requests, sseclient")
