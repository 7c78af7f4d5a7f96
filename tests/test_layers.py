"""The layers: imports point one way, one folder owns the network, and the core stands alone."""

import ast
import functools
import importlib
import pathlib
import subprocess
import sys
from typing import NamedTuple

import pytest

import rawchat

from . import rows

PACKAGE = pathlib.Path(rawchat.__file__).parent

# The files of the core, lowest first: a file imports only from those that stand before it.  A folder stands here for
# all of its files.
CORE_ORDER = [
    "safe_path",
    "errors",
    "urls",
    "wire",
    "compat",
    "backoff",
    "keys",
    "deadline",
    "config",
    "endpoints",
    "merge",
    "sse",
    "usage",
    "reply",
    "cache",
    "images",
    "stream",
    "client",
    "__init__",
    "__main__",
]
# The folders among them: chapters that belong to one word of the life of a call.
CORE_FOLDERS = [
    "wire",
    "urls",
    "compat",
    "config",
    "keys",
    "endpoints",
    "deadline",
    "merge",
    "reply",
    "sse",
    "client",
]

# What each other folder may import, beside its own files.  "root" stands for everything in CORE_ORDER.
FOLDER_RULES = {
    "transport": {"errors", "wire", "urls", "deadline", "keys"},
    "schema": {"errors", "reply", "wire"},
    "limits": {"errors", "wire", "backoff"},
    "trace": {"errors", "wire", "urls", "keys"},
    "history": {"root"},
    "tools": {"root", "schema", "history"},
    "aio": {"root", "history", "resources"},
    "bulk": {"root", "limits"},
    "local": {"root"},
    "cli": {"root", "schema", "history", "resources", "tools", "trace", "local"},
    "doctor": {"root", "transport"},
    "resources": {"root"},
}
# The folders that the root loads inside a function: only when a call needs them.
LOADED_LATE_BY_ROOT = {"transport", "schema", "history", "resources"}
# A command may use what the command line knows of files, terminals and standard input.
COMMANDS = {"bulk/__main__.py", "local/__main__.py"}


# The files that take part in every call, in reading order, beside `transport`.
PATH_OF_ONE_CALL = [
    "errors",
    "wire",
    "urls",
    "keys",
    "config",
    "endpoints",
    "backoff",
    "deadline",
    "sse",
    "reply",
    "merge",
    "stream",
    "client",
]
#: bounds on their lines: of code, without blank lines, comments and docstrings; and of all
MAX_PATH_CODE_LINES = 1_388
MAX_PATH_LINES = 2_260


class Import(NamedTuple):
    """One import: its target, and whether it stands at the top of its file."""

    target: str
    ours: bool
    at_top: bool


@functools.cache
def imports(path: pathlib.Path) -> list[Import]:
    """Return the imports of a file: ours by the first part below `rawchat`, others by their top module."""
    folder = path.relative_to(PACKAGE).parent.parts
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for node in ast.walk(tree):
        at_top = node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level:
            base = list(folder[: len(folder) - node.level + 1])
            parts = [*base, *(node.module.split(".") if node.module else [])]
            for alias in node.names:
                target = [*parts, alias.name][0]
                found.append(Import(target, True, at_top))
        elif isinstance(node, ast.ImportFrom):
            found.append(Import((node.module or "").split(".")[0], False, at_top))
        elif isinstance(node, ast.Import):
            found += [Import(alias.name.split(".")[0], False, at_top) for alias in node.names]
    return found


def name_of(path: pathlib.Path) -> str:
    """Return a file's name as a dotted path below `rawchat`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).replace(".__init__", "")


FILES = sorted(path for path in PACKAGE.rglob("*.py") if "__pycache__" not in path.parts)
ROOT_FILES = [path for path in FILES if path.parent == PACKAGE]
CORE_FILES = [path for path in FILES if path.parent == PACKAGE or path.parent.name in CORE_FOLDERS]
FOLDER_FILES = [path for path in FILES if path not in CORE_FILES]
MODULES = [name_of(path) for path in FILES]


def test_every_file_of_the_root_has_its_place() -> None:
    names = [path.stem for path in ROOT_FILES]
    assert sorted([*names, *CORE_FOLDERS]) == sorted(CORE_ORDER)


def test_every_folder_has_its_rule() -> None:
    assert sorted({path.parent.name for path in FOLDER_FILES}) == sorted(FOLDER_RULES)


@pytest.mark.parametrize("path", CORE_FILES, ids=name_of)
def test_imports_of_the_core_point_one_way(path: pathlib.Path) -> None:
    name = path.stem if path.parent == PACKAGE else path.parent.name
    if name in ("__init__", "__main__"):  # the doors: they may open every room
        return
    place = CORE_ORDER.index(name)
    allowed = CORE_ORDER[:place]
    if name in CORE_FOLDERS:
        allowed.append(name)
    for target, ours, at_top in imports(path):
        if ours and target in FOLDER_RULES:
            assert target in LOADED_LATE_BY_ROOT, f"{name} imports {target}"
            assert not at_top, f"{name} imports {target} at its top"
        elif ours and target not in ("__init__", "rawchat"):
            assert target in allowed, f"{name} imports {target}"


@pytest.mark.parametrize("path", FOLDER_FILES, ids=name_of)
def test_a_folder_imports_only_what_its_rule_allows(path: pathlib.Path) -> None:
    folder = path.parent.name
    allowed = {folder, *FOLDER_RULES[folder]}
    if "root" in allowed:
        allowed |= set(CORE_ORDER)
    if str(path.relative_to(PACKAGE)) in COMMANDS:
        allowed.add("cli")
    for target, ours, _ in imports(path):
        if ours:
            assert target in allowed, f"{name_of(path)} imports {target}"


@pytest.mark.parametrize(
    ("foreign", "home"),
    [
        ("requests", {"transport", "doctor"}),
        ("urllib3", {"transport"}),
        ("sseclient", {"sse"}),
        ("argparse", {"cli", "local", "bulk", "doctor"}),
        ("xllamacpp", {"local"}),
        ("tqdm", {"bulk"}),
        ("socket", {"deadline", "local", "transport", "doctor"}),
        ("socks", {"doctor", "transport"}),
    ],
)
def test_each_foreign_module_has_one_home(foreign: str, home: set[str]) -> None:
    users = {
        name_of(path).split(".")[0]
        for path in FILES
        if any(target == foreign and not ours for target, ours, _ in imports(path))
    }
    assert users <= home


def test_only_the_standard_library_and_the_dependencies_are_used() -> None:
    known = set(getattr(sys, "stdlib_module_names", ()))
    if not known:  # Python 3.9 has no such list
        return
    known |= {"requests", "urllib3", "sseclient", "xllamacpp", "tqdm", "socks"}
    used = {target for path in FILES for target, ours, _ in imports(path) if not ours}
    assert used <= known


def code_lines(path: pathlib.Path) -> int:
    """Return the number of lines with code on them: no blank line, no comment, no docstring."""
    source = path.read_text(encoding="utf-8")
    lines: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not is_text:
            lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    text = source.splitlines()
    return sum(1 for line in lines if text[line - 1].strip() and text[line - 1].strip()[0] != "#")


def chapter(name: str) -> pathlib.Path:
    """Return the file of a chapter: the first one of its folder, if it is a folder."""
    folder = PACKAGE / name
    return folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{name}.py"


def test_the_path_of_one_call_can_be_read_in_an_hour() -> None:
    assert len(PATH_OF_ONE_CALL) == 13
    paths = [chapter(name) for name in PATH_OF_ONE_CALL]
    code = {name_of(path): code_lines(path) for path in paths}
    assert sum(code.values()) <= MAX_PATH_CODE_LINES, code
    lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in paths}
    assert sum(lines.values()) <= MAX_PATH_LINES, lines


def test_the_path_of_one_call_is_the_one_that_make_read_prints() -> None:
    makefile = (PACKAGE.parent / "Makefile").read_text(encoding="utf-8")
    assert f"READ := {' '.join(PATH_OF_ONE_CALL)}\n" in makefile


def test_make_read_prints_the_whole_core() -> None:
    makefile = (PACKAGE.parent / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    printed = set(PATH_OF_ONE_CALL)
    for line in makefile.splitlines():
        if line.startswith("BESIDE := "):
            printed |= set(line.split()[2:])
    of_the_core = {name_of(path).replace(".", "/") for path in CORE_FILES}
    assert printed == of_the_core - {"__init__", "__main__", "safe_path", "compat"}


def test_there_is_no_import_cycle() -> None:
    """The other folders are loaded by the core inside functions only, so a walk of the top-level imports ends."""
    graph: dict[str, set[str]] = {}
    for path in CORE_FILES:
        name = name_of(path).split(".")[0]
        if name not in ("__init__", "__main__"):
            targets = {target for target, ours, at_top in imports(path) if ours and at_top}
            graph.setdefault(name, set()).update(targets - {name})
    for name, targets in graph.items():
        for target in targets:
            assert name not in graph.get(target, set()), f"{name} and {target} import each other"


def test_importing_rawchat_loads_nothing_more() -> None:
    code = (
        "import sys; before = set(sys.modules); import rawchat; "
        "print(sorted(name for name in set(sys.modules) - before if name.split('.')[0] in "
        "('rawchat', 'requests', 'urllib3', 'sseclient', 'ssl', 'socket', 'logging')))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert shown.stdout.strip() == "['rawchat']"


def test_making_a_client_does_not_load_requests() -> None:
    code = "import sys, rawchat; rawchat.Client(api_key='sk-1'); print('requests' in sys.modules)"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PACKAGE.parent, check=True
    )
    assert shown.stdout.strip() == "False"


def test_the_public_names_are_all_there() -> None:
    for name in rawchat.__all__:
        assert getattr(rawchat, name) is not None
    modules = sorted({name.split(".")[0] for name in MODULES if not name.startswith("_")})
    for name in modules:
        assert isinstance(getattr(rawchat, name), type(pytest)) or name in rawchat.__all__
    assert set(rawchat.PUBLIC_MODULES) <= set(modules)
    assert dir(rawchat) == sorted([*rawchat.__all__, *rawchat.PUBLIC_MODULES])
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = rawchat.nonsense
    from rawchat import errors

    classes = {
        name
        for name, thing in vars(errors).items()
        if isinstance(thing, type)
        and issubclass(thing, BaseException)
        and thing.__module__ == errors.__name__
    }
    assert classes == {name for name, home in rawchat.HOMES.items() if home == "errors"}


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    import doctest

    if name == "transport.socks":
        pytest.importorskip("socks", reason="PySocks is not installed")
    if not name.endswith("__main__") and name != "__init__":
        module = importlib.import_module(f"rawchat.{name}")
        assert doctest.testmod(module).failed == 0


def test_every_row_of_the_behaviour_table_has_a_proof() -> None:
    assert [number for number, tests in rows.proofs().items() if not tests] == []


def test_the_tests_of_a_row_or_a_section_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows.main(["4.4", "12.7"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f"tests/{test}" for number in ("4.4", "12.7") for test in rows.proofs()[number]
    ]
    assert rows.main(["9"]) == 0
    assert set(capsys.readouterr().out.splitlines()) > {f"tests/{rows.proofs()['9.2'][0]}"}
    assert rows.main(["99.1"]) == 2
    assert capsys.readouterr().err == "no such row or section: 99.1; see docs/behaviour.md\n"


def test_the_page_of_the_rows_is_fresh() -> None:
    assert rows.PAGE.read_text(encoding="utf-8") == rows.page(), "stale: python -m tests.rows"
