"""What needs an index of packages, or npm: run by `make anywhere`, not by `make test`.  What is not there is named."""

import functools
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any, Optional

import pytest
import sseclient

from tests.server import answer, completion, serving, streamed

ROOT = pathlib.Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def run(*command: Any, timeout: float = 300, **options: Any) -> str:
    """The output of a command; fails with all that it said."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@functools.lru_cache
def checkout() -> pathlib.Path:
    """The files of the project and nothing else, in a clean folder."""
    folder = pathlib.Path(os.environ["PYTEST_FOLDER"]) / "checkout"
    listed = run(
        "git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT
    ).splitlines()
    for name in listed:
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session", autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["PYTEST_FOLDER"] = str(tmp_path_factory.mktemp("anywhere"))


def test_nothing_is_compiled(tmp_path: pathlib.Path) -> None:
    """The whole set of wheels, for a Python that takes none with compiled code, and of the oldest version."""
    run(*PIP, "wheel", "--no-deps", "--wheel-dir", tmp_path, checkout())
    (own,) = tmp_path.iterdir()
    run(
        *PIP,
        "download",
        "--dest",
        tmp_path,
        "--only-binary=:all:",
        "--platform",
        "any",
        "--implementation",
        "py",
        "--abi",
        "none",
        "--python-version",
        "3.9",
        own,
    )
    names = sorted(path.name for path in tmp_path.iterdir())
    assert {name.split("-")[0] for name in names} == {
        "rawchat",
        "requests",
        "sseclient_py",
        "urllib3",
        "idna",
        "certifi",
        "charset_normalizer",
    }
    assert [name for name in names if not name.endswith("none-any.whl")] == []


# ---- one file


@pytest.fixture(scope="module")
def pyz() -> Iterator[pathlib.Path]:
    """The file, in a folder with a blank in its name that everybody may read, as nobody may read pytest's."""
    with tempfile.TemporaryDirectory(prefix="one file ") as folder:
        os.chmod(folder, 0o755)
        run(sys.executable, checkout() / "anywhere/pyz.py", folder)
        yield pathlib.Path(folder) / "rawchat.pyz"


def test_one_file_is_the_same_each_time(pyz: pathlib.Path, tmp_path: pathlib.Path) -> None:
    os.utime(checkout() / "rawchat/client/__init__.py")
    run(sys.executable, checkout() / "anywhere/pyz.py", tmp_path, umask=0o077)
    assert (tmp_path / "rawchat.pyz").read_bytes() == pyz.read_bytes()


@pytest.mark.parametrize("user", [None, "nobody"])
@pytest.mark.parametrize("home", [None, "/proc"])
def test_one_file_answers(pyz: pathlib.Path, user: Optional[str], home: Optional[str]) -> None:
    """With no site-packages, no HOME or one that cannot be written, as another user, from a path with a blank."""
    if user and os.getuid() != 0:
        pytest.skip("only root can run it as another user")
    env = {"PATH": "/usr/bin:/bin", **({"HOME": home} if home else {})}
    python = base_python() if user is None else shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("no Python that another user may run")
    with serving(streamed()) as server:
        said = run(
            python,
            "-I",
            "-S",
            pyz,
            "--base-url",
            server.url,
            "Say hi",
            env=env,
            cwd="/",
            user=user,
            stdin=subprocess.DEVNULL,
        )
    assert said == "Hello\n"


def test_one_file_finds_its_certificates(pyz: pathlib.Path) -> None:
    code = f"import sys; sys.path.insert(0, {str(pyz)!r}); import certifi; print(open(certifi.where()).read())"
    assert "BEGIN CERTIFICATE" in run(base_python(), "-I", "-S", "-c", code)


def base_python() -> str:
    """The Python that this environment was made from: a bare one."""
    return str(
        pathlib.Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    )


# ---- the browser's Python


def test_the_browsers_python(tmp_path: pathlib.Path) -> None:
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("no npm here")
    folder = ROOT / "build" / "pyodide"
    shutil.copytree(ROOT / "anywhere/pyodide", folder, dirs_exist_ok=True)
    if not (folder / "node_modules/pyodide").exists():
        run(npm, "install", "--no-audit", "--no-fund", cwd=folder)
    fair = answer(completion('{"name": "fair", "people": ["Ann", "Bob"]}'))
    with serving(
        answer(completion()),
        streamed(),
        answer({"error": {"message": "no such thing"}}, 404),
        answer(completion()),
        streamed(),
        answer({"error": "no"}, 400),
        fair,
    ) as server:
        said = run(
            "node",
            folder / "run.mjs",
            folder / "program.py",
            ROOT / "rawchat",
            pathlib.Path(sseclient.__file__).parent,
            f"BASE_URL={server.url}",
            cwd=folder,
        )
    assert "well: Python 3." in said
    assert server.requests[0].json["messages"][0]["content"] == "Grüß dich"
    assert server.requests[0].headers["authorization"] == "Bearer sk-1"
    assert server.requests[-1].json["response_format"]["json_schema"]["schema"]["required"] == [
        "name",
        "people",
    ]


def test_the_page_shows_the_network_that_was_tried() -> None:
    program = (ROOT / "anywhere/pyodide/program.py").read_text(encoding="utf-8")
    (shown,) = re.findall(r"def over_xhr.*?\n\n", program, re.DOTALL)
    assert shown in (ROOT / "docs/anywhere.md").read_text(encoding="utf-8")


# ---- the release


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, checkout() / "anywhere/release.py", folder)
    return folder


def test_the_release_is_the_same_each_time(dist: pathlib.Path, tmp_path: pathlib.Path) -> None:
    os.utime(checkout() / "rawchat/client/__init__.py")
    run(sys.executable, checkout() / "anywhere/release.py", tmp_path)
    assert sorted(path.suffix for path in dist.iterdir()) == [".gz", ".whl"]
    for path in dist.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_the_release_is_well_made(dist: pathlib.Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
    run(sys.executable, "-m", "check_wheel_contents", *dist.glob("*.whl"))


def test_the_tests_pass_from_the_sdist(dist: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """In an environment with what its extra `test` asks for, and pytest-xdist to use all cores."""
    (sdist,) = dist.glob("*.tar.gz")
    run("tar", "-xzf", sdist, "-C", tmp_path)
    (folder,) = tmp_path.iterdir()
    run(base_python(), "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "--quiet", "install", f"{folder}[test]", "pytest-xdist")
    said = run(
        python,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-n",
        os.environ.get("WORKERS", "2"),
        cwd=folder,
        timeout=1800,
    )
    assert int(re.findall(r"(\d+) passed", said)[0]) > 900


def test_the_steps_of_the_dockerfile(tmp_path: pathlib.Path) -> None:
    """Every COPY, RUN and the ENTRYPOINT, in a clean folder with an environment of its own instead of an engine."""
    run(base_python(), "-m", "venv", tmp_path / "venv")
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    env = {"PATH": f"{tmp_path / 'venv/bin'}:/usr/bin:/bin", "HOME": str(tmp_path), **pip}
    work = tmp_path / "work"
    work.mkdir()
    entry: list[str] = []
    for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines():
        step, _, rest = line.partition(" ")
        if step == "COPY":
            *sources, target = rest.split()
            for source in sources:
                whole = checkout() / source
                if whole.is_dir():
                    shutil.copytree(whole, work / target, dirs_exist_ok=True)
                else:
                    shutil.copy(whole, work / target)
        elif step == "RUN":
            run("sh", "-ec", rest, cwd=work, env=env)
        elif step == "ENTRYPOINT":
            entry = re.findall('"([^"]*)"', rest)
    with serving(streamed()) as server:
        command = [shutil.which(entry[0], path=env["PATH"]), *entry[1:]]
        said = run(
            *command, "--base-url", server.url, "Say hi", env=env, cwd="/", stdin=subprocess.DEVNULL
        )
    assert said == "Hello\n"
