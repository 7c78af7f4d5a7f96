"""The process of `python -m rawchat` ends without taking down the interpreter, and leaves nothing undone."""

import os
import pathlib
import subprocess
import sys

import pytest

PYPY = sys.implementation.name == "pypy"
DRY_RUN = ["-m", "rawchat", "--base-url", "http://localhost:9/v1", "--dry-run", "Q"]


def run(*argv: str, folder: pathlib.Path, start: str = "") -> "subprocess.CompletedProcess[str]":
    """Run Python with `argv`; the source `start` runs before anything else."""
    (folder / "usercustomize.py").write_text("")
    (folder / "sitecustomize.py").write_text(start)
    path = os.pathsep.join([str(folder), *sys.path])
    return subprocess.run(
        [sys.executable, *argv],
        env={**os.environ, "PYTHONPATH": path, "OPENAI_API_KEY": "sk-0123456789abcdef"},
        cwd=folder,
        capture_output=True,
        text=True,
        input="",
        timeout=60,
        check=False,
    )


@pytest.mark.skipif(PYPY, reason="PyPy takes down nothing at its end")
def test_the_interpreter_is_not_taken_down(tmp_path: pathlib.Path) -> None:
    # a module's globals are cleared when the interpreter is taken down, and only then
    start = "class Global:\n    def __del__(self):\n        print('taken down')\nkept = Global()\n"
    whole = run("-c", "pass", folder=tmp_path, start=start)
    assert whole.stdout == "taken down\n"
    done = run(*DRY_RUN, folder=tmp_path, start=start)
    assert done.returncode == 0
    assert "/v1/chat/completions" in done.stdout
    assert "taken down" not in done.stdout


def test_a_collector_without_thresholds_is_left_as_it_is(tmp_path: pathlib.Path) -> None:
    """PyPy's has none."""
    start = "import gc\nif hasattr(gc, 'set_threshold'):\n    del gc.set_threshold\n"
    done = run(*DRY_RUN, folder=tmp_path, start=start)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)


def test_functions_registered_with_atexit_run(tmp_path: pathlib.Path) -> None:
    start = "import atexit\natexit.register(print, 'at exit')\n"
    done = run(*DRY_RUN, folder=tmp_path, start=start)
    assert done.returncode == 0
    assert done.stdout.endswith("at exit\n")


def test_a_thread_is_waited_for(tmp_path: pathlib.Path) -> None:
    start = (
        "import threading\n"
        "def late():\n"
        "    threading.main_thread().join()\n"  # it outlives the command on any machine
        "    print('the thread is done', flush=True)\n"
        "threading.Thread(target=late).start()\n"
    )
    done = run(*DRY_RUN, folder=tmp_path, start=start)
    assert done.returncode == 0
    assert done.stdout.endswith("the thread is done\n")


def test_a_profiler_prints_what_it_has_seen(tmp_path: pathlib.Path) -> None:
    done = run("-m", "cProfile", *DRY_RUN, folder=tmp_path)
    assert "function calls" in done.stdout


def test_the_exit_code_is_that_of_main(tmp_path: pathlib.Path) -> None:
    done = run("-m", "rawchat", "--replay", "missing.har", "Q", folder=tmp_path)
    assert done.returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_an_output_that_cannot_be_flushed_ends_in_the_usual_way(tmp_path: pathlib.Path) -> None:
    start = "import sys\nsys.stderr = open('/dev/full', 'w')\nsys.stderr.write('kept back')\n"
    done = run(*DRY_RUN, folder=tmp_path, start=start)
    # Python reports in the same way what it cannot flush at its end
    whole = run("-c", "pass", folder=tmp_path, start=start)
    assert done.returncode == whole.returncode
