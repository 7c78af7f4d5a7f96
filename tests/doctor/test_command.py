"""The command: its lines, its options, and what it leaves alone."""

import doctest
import importlib
import pathlib
import subprocess
import sys
from typing import Any

import pytest

import rawchat
from rawchat import doctor
from rawchat.doctor import adapter
from rawchat.doctor.command import main
from rawchat.doctor.report import Report
from rawchat.doctor.responses import shown_text
from rawchat.doctor.settings import Setting
from rawchat.doctor.sockets import shown_bytes
from rawchat.doctor.way import Step

from ..command import PLAIN
from ..server import answer, completion, serving
from .servers import KEY, MODEL, Api, Clock, Replying, closed_port

FOLDER = pathlib.Path(doctor.__file__).parent
CHAPTERS = sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("__"))


def run(capsys: Any, *argv: str, **environ: str) -> tuple[int, list[str]]:
    code = main(list(argv), {"OPENAI_API_KEY": KEY, "OPENAI_MODEL": MODEL, **environ}, Clock())
    captured = capsys.readouterr()
    assert captured.err == ""
    return code, captured.out.splitlines()


def test_the_lines_of_a_healthy_server(capsys: pytest.CaptureFixture[str]) -> None:
    with Replying(Api()) as server:
        code, lines = run(capsys, server.url)
    assert code == 0
    assert lines[0].startswith(f"rawchat doctor {adapter.__version__}, Python 3.")
    assert lines[1:] == [
        "settings",
        f"  base_url            {server.url.ljust(40)}  (argument)",
        "  api_key             20 characters, ends in …89                (OPENAI_API_KEY)",
        "  model               m-1                                       (OPENAI_MODEL)",
        "  proxy               none                                      (HTTP_PROXY and ALL_PROXY are not set)",
        "steps to the model",
        "  resolve             ok: 127.0.0.1 is an address  [0 ms]",
        f"  connect             ok: 127.0.0.1:{server.port}  [0 ms]",
        "  HTTP                ok: 200  [0 ms]",
        "  clock               ok: the same as the server's  [0 ms]",
        "  authentication      ok: the key is accepted  [0 ms]",
        "  model               ok: m-1 is in the server's list of 1  [0 ms]",
        "all steps passed",
    ]


def test_the_lines_of_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with closed_port() as port:
        code, lines = run(capsys, f"http://127.0.0.1:{port}/v1")
    assert code == 7
    assert lines[-3].startswith("  connect             no: 127.0.0.1: Connection refused")
    assert lines[-2].startswith(
        f"                      -> nothing listens on 127.0.0.1:{port}: start the server"
    )
    assert lines[-1] == "failed at: connect"


def test_the_server_may_be_an_option_as_for_the_other_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Replying(Api()) as server:
        code, lines = run(capsys, "--base-url", server.url, OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    assert code == 0
    assert lines[2] == f"  base_url            {server.url.ljust(40)}  (argument)"


def test_the_lines_of_a_probe(capsys: pytest.CaptureFixture[str]) -> None:
    with Replying(Api("n-ignored")) as server:
        code, lines = run(capsys, "--probe", server.url)
    assert code == 0
    start = lines.index("what the server can do")
    assert lines[start + 1] == "  23 checks: at most 32 calls, 1521 tokens of answers, 300 s"
    assert "  models              ok: 1  [0 ms]" in lines
    assert "  n                   no: ignored: 1 choice for n=2  [0 ms]" in lines
    assert lines[start - 1] == "all steps passed"
    assert lines[-1] == "23 checks: 22 ok, 1 no"


def test_the_key_of_a_file_is_used_and_never_shown(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    path = tmp_path / "key"
    path.write_text("sk-from-the-file-42\n")
    with Replying(Api(key="sk-from-the-file-42")) as server:
        code, lines = run(capsys, server.url, "--key-file", str(path))
    assert code == 0
    assert "  api_key             19 characters, ends in …42                (--key-file)" in lines
    with Replying(Api(key="another")) as server:  # which repeats the key in its answer
        code, lines = run(capsys, server.url, "--key-file", str(path))
    assert code == 3
    assert "sk-from" not in "\n".join(lines)
    assert "check the key from --key-file" in "\n".join(lines)


def test_a_dotenv_is_named_as_the_source(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    with Replying(Api()) as server:
        (tmp_path / ".env").write_text(f"OPENAI_BASE_URL={server.url}\nOPENAI_API_KEY={KEY}\n")
        code, lines = run(capsys, OPENAI_API_KEY="")
    assert code == 0
    assert lines[2].endswith("(.env (OPENAI_BASE_URL))")


def test_a_dotenv_that_redirects_the_key_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    (tmp_path / ".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:1/v1\n")
    code, lines = run(capsys)
    assert code == 2
    assert lines[-3].startswith("  settings            no: base_url comes from .env")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--timeout", "0"], "argument --timeout"),
        (["--key-file", "missing"], "missing: No such file or directory"),
        (["--nonsense"], "no such option: --nonsense (see --help)"),
        (["--base-ulr", "http://h"], "no such option: --base-ulr (did you mean --base-url?)"),
        (
            ["--api-key=sk-secret"],
            "no such option: --api-key; set OPENAI_API_KEY or use --key-file",
        ),
        (["http://h", "sk-secret"], "more than one BASE_URL (see --help)"),
        (["http://h", "--base-url", "http://i"], "more than one BASE_URL (see --help)"),
    ],
)
def test_wrong_use_is_one_line(
    capsys: pytest.CaptureFixture[str], argv: list[str], words: str
) -> None:
    assert main(argv, {}) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("rawchat.doctor: ")
    assert words in captured.err
    assert "secret" not in captured.err
    assert captured.err.count("\n") == 1


def test_control_characters_and_secrets_are_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(sys.stdout, sys.stderr)
    report.hide(["secret", ""])
    report.settings("1", [Setting("model", "a\x1b[2Jb", "x")])
    report.step(Step("HTTP", "no", "the secret\u202e\n", 0.1, "c", "not the secret"))
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "secret" not in out
    assert (
        "  HTTP                no: the ***??  [100 ms]\n                      -> not the ***\n"
        in out
    )


def test_a_secret_that_a_message_cuts_is_not_printed(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(sys.stdout, sys.stderr)
    report.hide(["sk-very-secret", "sk-very-secret-and-longer"])
    cut = shown_bytes(b"x" * 30 + b"sk-very-secret")
    report.step(Step("HTTP", "no", f"{cut}, {shown_text('x' * 110 + 'sk-very-secret')}", 0.1, "c"))
    report.step(Step("HTTP", "no", "sk-very-secret-and-longer", 0.1, "c"))
    out = capsys.readouterr().out
    assert out.count("***") == 3
    assert "sk-" not in out
    assert "longer" not in out


def test_the_command_writes_no_file(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    with Replying(Api()) as server:
        run(capsys, "--probe", server.url)
    assert list(tmp_path.iterdir()) == []


def test_nothing_of_it_is_loaded_unless_it_is_asked_for() -> None:
    code = "import sys, rawchat, rawchat.cli; rawchat.Client(api_key='k'); print('rawchat.doctor' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=PLAIN, check=True
    )
    assert ran.stdout == "False\n"


def test_it_runs_as_a_module(tmp_path: Any) -> None:
    with closed_port() as port:
        command = [sys.executable, "-m", "rawchat.doctor", f"http://127.0.0.1:{port}/v1"]
        ran = subprocess.run(
            command, capture_output=True, text=True, env=PLAIN, cwd=tmp_path, check=False
        )
    assert (ran.returncode, ran.stderr) == (7, "")
    assert "nothing listens on" in ran.stdout


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("word", ["http://127.0.0.1:1/v1", "--json", "--help"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_one_line(tmp_path: pathlib.Path, word: str, unbuffered: str) -> None:
    command = [sys.executable, "-m", "rawchat.doctor", word]
    with open("/dev/full", "w", encoding="utf-8") as full:
        ran = subprocess.run(
            command,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**PLAIN, "PYTHONUNBUFFERED": unbuffered},
            cwd=tmp_path,
            check=False,
        )
    said = "rawchat.doctor: standard output: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (1, said)


@pytest.mark.parametrize("name", CHAPTERS)
def test_only_the_adapter_uses_the_rest_of_rawchat(name: str) -> None:
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    if name != "adapter":
        assert "from .." not in text
        assert "import rawchat" not in text
    if name not in ("sockets", "steps", "proxies", "tls"):
        assert "import socket" not in text


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"rawchat.doctor.{name}")).failed == 0


def test_a_question_does_not_load_the_doctor() -> None:
    """It costs a one-shot nothing: neither the library nor the command line knows it."""
    code = (
        "import sys, rawchat; from rawchat import cli; rawchat.chat; "
        "code = cli.main(['--base-url', sys.argv[1], '--no-stream', 'Hi']); "
        "print(code, [name for name in sys.modules if name.startswith('rawchat.doctor')])"
    )
    with serving(answer(completion())) as server:
        shown = subprocess.run(
            [sys.executable, "-c", code, server.url],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            cwd=pathlib.Path(rawchat.__file__).parents[1],
            timeout=60,
        )
    assert shown.stdout.splitlines() == ["Hello", "0 []"]
