"""The floors: imports only point down, and what is not ours comes in at one place."""

import ast
import importlib
import pathlib
import subprocess
import sys

import pytest

import rawchat

from . import rows

PACKAGE = pathlib.Path(rawchat.__file__).parent
FLOORS = {  # within a floor, a file may use one that stands before it
    0: "version safe_path errors backoff budget chunked encode normalise headers keys ring turns urls alarm threads "
    "fields schema typed usage estimate window",
    1: "wire refusals reply parsed bounds dotenv config connection jsonl calls prompt output options precedence notes "
    "private approval completion fit lines state",
    2: "fallback endpoints batch merge events chunk stream transport images cache trace har gate limits settings "
    "shorthand",
    3: "base client default attach",
    4: "history tools bulk aio",
    5: "local toolbox question verdict preview facts record watch connect answer saved session talk cli",
    6: "__init__ __main__",
}
ORDER = [name for names in FLOORS.values() for name in names.split()]
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(name: str) -> list[tuple[str, bool]]:
    """What a file imports: our modules by their names, others by the first part of theirs; and whether it is ours."""
    found = []
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            found += [(each.split(".")[0], True) for each in names if each]
        elif isinstance(node, ast.ImportFrom):
            found.append(((node.module or "").split(".")[0], False))
        elif isinstance(node, ast.Import):
            found += [(alias.name.split(".")[0], False) for alias in node.names]
    return found


def test_every_file_has_its_floor() -> None:
    assert [name for name in MODULES if name not in ORDER] == []


@pytest.mark.parametrize("name", MODULES)
def test_imports_only_point_down(name: str) -> None:
    for other, ours in imports(name):
        if ours:
            assert ORDER.index(other) < ORDER.index(name), f"{name} imports {other}"


def test_what_people_do_with_it_stands_side_by_side() -> None:
    floor = FLOORS[4].split()
    beside = {
        (name, other) for name in floor for other, ours in imports(name) if ours and other in floor
    }
    assert beside == {("aio", "history")}  # its conversations are History's


@pytest.mark.parametrize(
    ("foreign", "home"),
    [
        ("requests", {"transport"}),
        ("urllib3", {"transport"}),
        ("sseclient", {"events"}),
        ("argparse", {"cli", "local", "bulk"}),
        ("xllamacpp", {"local"}),
        ("tqdm", {"bulk"}),
        ("socket", {"alarm", "local", "transport"}),
    ],
)
def test_what_is_not_ours_comes_in_at_one_place(foreign: str, home: set[str]) -> None:
    assert {name for name in MODULES if (foreign, False) in imports(name)} <= home


def test_the_path_of_a_request_can_be_read_in_an_hour() -> None:
    path = [
        "errors",
        "backoff",
        "wire",
        "reply",
        "config",
        "endpoints",
        "stream",
        "transport",
        "client",
    ]
    lines = [
        line
        for name in path
        for line in (PACKAGE / f"{name}.py").read_text(encoding="utf-8").splitlines()
    ]
    assert len(lines) <= 1000
    assert len([line for line in lines if line.strip()]) <= 850


def test_only_the_standard_library_and_the_two_dependencies_are_used() -> None:
    known = set(getattr(sys, "stdlib_module_names", ())) | {
        "requests",
        "urllib3",
        "sseclient",
        "xllamacpp",
        "tqdm",
    }
    if len(known) > 5:  # Python 3.9 has no such list
        assert {other for name in MODULES for other, ours in imports(name) if not ours} <= known


def test_importing_rawchat_loads_nothing_more() -> None:
    code = (
        "import sys; before = set(sys.modules); import rawchat; "
        "print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] in "
        "('rawchat', 'requests', 'urllib3', 'sseclient', 'ssl', 'socket', 'logging')))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert shown.stdout.strip() == "['rawchat', 'rawchat.version']"


def test_making_a_client_does_not_load_requests() -> None:
    code = "import sys, rawchat; rawchat.Client(api_key='sk-1'); print('requests' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert shown.stdout.strip() == "False"


def test_the_public_names_are_all_there() -> None:
    for name in rawchat.__all__:
        assert getattr(rawchat, name) is not None
    modules = [name for name in MODULES if not name.startswith("_")]
    for name in modules:
        assert isinstance(getattr(rawchat, name), type(pytest)) or name in rawchat.__all__
    assert {*rawchat.__all__, *modules} <= set(dir(rawchat))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rawchat.nonsense
    from rawchat import errors

    classes = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type) and thing.__module__ == errors.__name__
    }
    assert classes == {name for name, home in rawchat.HOMES.items() if home == "errors"}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    import doctest

    if name not in ("__main__", "__init__"):
        module = importlib.import_module(f"rawchat.{name}")
        assert doctest.testmod(module).failed == 0


def test_every_row_of_the_behaviour_table_has_a_proof() -> None:
    assert [number for number, tests in rows.proofs().items() if not tests] == []


def test_the_page_that_leads_from_rows_to_proofs_is_fresh() -> None:
    assert rows.PAGE.read_text(encoding="utf-8") == rows.page(), "stale: python -m tests.rows"
