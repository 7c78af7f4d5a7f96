"""The core works alone: the files of the root, the folders that belong to them, and `transport`; any other can be deleted."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from .test_layers import CORE_FOLDERS, FOLDER_RULES, MODULES, PACKAGE

TESTS = pathlib.Path(__file__).parent

# What the tests of the core need, and the tests themselves.
SUPPORT = ["__init__.py", "conftest.py", "command.py", "server.py"]
CORE_TESTS = [
    "compat/test_error_bodies.py",
    "compat/test_error_responses.py",
    "keys/test_keys.py",
    "keys/test_redaction.py",
    "test_backoff.py",
    "test_client.py",
    "test_endpoints.py",
    "test_errors.py",
    "merge/test_merge.py",
    "test_reply.py",
    "test_sse.py",
    "test_stream.py",
    "test_urls.py",
    "test_wire.py",
]

# Calls that no other test of the core makes over a real connection in one place.
SCRIPT = """
import rawchat
from tests.server import HELLO, answer, completion, serving, streamed

assert rawchat.__file__.startswith({home!r}), rawchat.__file__
BUSY = answer({{"error": {{"message": "busy"}}}}, 503)
LEGACY = answer({{"choices": [{{"index": 0, "text": " more", "finish_reason": "stop"}}]}})
waits = []
script = [BUSY, answer(completion()), LEGACY, streamed(HELLO), answer({{"error": "no"}}, 404)]
with serving(*script) as server:
    client = rawchat.Client("sk-1", server.url, environ={{}}, sleep=waits.append)
    assert (client.chat("Hi").text, len(waits)) == ("Hello", 1)
    assert client.complete("Once").text == " more"
    with client.stream_chat("Hi") as stream:
        assert "".join(stream.texts()) == stream.reply.text != ""
    try:
        client.chat("Hi")
    except rawchat.OpenAIError as error:
        assert isinstance(error, rawchat.NotFoundError)
        assert error.response.status_code == 404
with serving([lambda connection: connection.recv(1)]) as server:
    try:
        rawchat.Client("sk-1", server.url, environ={{}}, deadline=0.1).chat("Hi")
    except rawchat.DeadlineExceededError:
        print("the core works")
"""


@pytest.fixture(scope="module")
def core(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a folder with the core, and the tests of the core, and nothing else."""
    home = tmp_path_factory.mktemp("core")
    (home / "rawchat").mkdir()
    (home / "tests").mkdir()
    for path in PACKAGE.glob("*.py"):
        shutil.copy(path, home / "rawchat")
    ignored = shutil.ignore_patterns("__pycache__")
    for name in [*CORE_FOLDERS, "transport"]:
        shutil.copytree(PACKAGE / name, home / "rawchat" / name, ignore=ignored)
    for name in ["compat", "keys", "merge"]:
        (home / "tests" / name).mkdir()
        shutil.copy(TESTS / name / "__init__.py", home / "tests" / name)
    for name in [*SUPPORT, *CORE_TESTS]:
        shutil.copy(TESTS / name, home / "tests" / name)
    return home


def run_python(
    *arguments: str, folder: pathlib.Path, given: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run Python in `folder`, whose package is found first."""
    environ = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environ,
        input=given,
        capture_output=True,
        text=True,
        check=False,
    )


def test_chat_completions_streams_retries_errors_and_deadlines_work(core: pathlib.Path) -> None:
    done = run_python("-c", SCRIPT.format(home=str(core)), folder=core)
    assert done.stdout == "the core works\n", done.stderr


def test_the_tests_of_the_core_pass(core: pathlib.Path) -> None:
    options = ["-q", "-x", "-W", "error", "-p", "no:cacheprovider", "-p", "no:xdist"]
    done = run_python("-m", "pytest", *options, "tests", folder=core)
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout


def users_of(folder: str) -> set[str]:
    """Return the folders that may import `folder`, directly or through another one, and itself."""
    users = {folder}
    while True:
        more = {name for name, allowed in FOLDER_RULES.items() if users & allowed} - users
        if not more:
            return users
        users |= more


# Imports every module once for each folder, as if that folder were not there, and prints what needs it.  One process
# does it for all folders: only what is ours is imported anew.
WITHOUT_EACH = """
import importlib, json, sys
folders, modules = json.load(sys.stdin)
users = {}
for folder in folders:
    for name in list(sys.modules):
        if name.split(".")[0] == "rawchat":
            del sys.modules[name]
    missing = f"rawchat.{folder}"
    sys.modules[missing] = None
    users[folder] = []
    for name in modules:
        try:
            importlib.import_module(f"rawchat.{name}")
        except ImportError as error:
            if missing not in str(error) and error.name != missing:
                raise
            users[folder].append(name.split(".")[0])
print(json.dumps(users))
"""
FOLDERS = sorted(set(FOLDER_RULES) - {"transport"})


@pytest.fixture(scope="module")
def broken_without() -> dict[str, list[str]]:
    """Return, for each folder, the folders of the modules that cannot be imported without it."""
    modules = []
    for name in sorted(MODULES):
        if not name.endswith(("__main__", "transport.socks")) and name != "__init__":
            modules.append(name)
    done = run_python(
        "-c", WITHOUT_EACH, folder=PACKAGE.parent, given=json.dumps([FOLDERS, modules])
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_can_be_deleted_without_breaking_any_but_its_users(
    broken_without: dict[str, list[str]], folder: str
) -> None:
    assert folder in broken_without[folder]
    assert set(broken_without[folder]) <= users_of(folder)
