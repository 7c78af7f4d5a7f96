"""What a type checker sees of rawchat from outside: its modules, its functions, and the README's snippets."""

import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

import rawchat

pytest.importorskip("mypy")

PROJECT = pathlib.Path(rawchat.__file__).parent.parent

NAMES = [
    "AsyncClient.chat",
    "Client.send",
    "aio.AsyncClient",
    "bulk.run_rows",
    "cache.cached",
    "limits.limited",
    "local.serve",
    "parse",
    "tools.run",
    "trace.curl",
    "transport.over_http",
]


def snippets() -> list[str]:
    """Return the Python snippets of the README."""
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what mypy --strict prints of files outside of the project, run once for all tests."""
    folder = tmp_path_factory.mktemp("checked")
    lines = [f"reveal_type(rawchat.{name})" for name in NAMES]
    (folder / "names.py").write_text("\n".join(["import rawchat", *lines, "rawchat.nonsense"]))
    for number, snippet in enumerate(snippets(), 1):
        (folder / f"readme_{number}.py").write_text(snippet, encoding="utf-8")
    cache = PROJECT / ".mypy_cache" / "outside"
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(cache), "."],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert not done.stderr, done.stderr
    return done.stdout


def is_stale_install() -> bool:
    """Return True if rawchat was installed before setup.cfg was last changed: `make` would install it anew."""
    setup = PROJECT / "setup.cfg"
    distribution = importlib.metadata.distribution("rawchat")
    record = distribution.locate_file(f"rawchat-{distribution.version}.dist-info")
    installed = pathlib.Path(str(record))
    return installed.exists() and setup.stat().st_mtime > installed.stat().st_mtime


@pytest.fixture(autouse=True)
def _fresh_install() -> None:
    if is_stale_install():
        pytest.skip("rawchat was installed before setup.cfg changed: make, or pip install -e .")


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_a_type_after_a_bare_import_from_any_directory(checked: str, name: str) -> None:
    line = NAMES.index(name) + 2
    revealed = [text for text in checked.splitlines() if text.startswith(f"names.py:{line}: ")]
    assert revealed, checked
    assert 'Revealed type is "Any"' not in revealed[0]
    assert "Revealed type is" in revealed[0]


def test_a_name_that_is_missing_is_an_error(checked: str) -> None:
    assert 'error: Module has no attribute "nonsense"' in checked


def test_the_snippets_of_the_readme_have_no_type_error(checked: str) -> None:
    assert len(snippets()) >= 5
    assert [line for line in checked.splitlines() if line.startswith("readme_")] == []
