"""Fill the pages with code and with what programs print, so that neither can go stale.

    python -m tests.fill             write the pages anew

In a page, a comment stands above each block that is filled:

    <!-- code: rawchat/client.py Client.send -->     the source of a function or class, without its docstring
    <!-- run -->                                     a program; the ```text block after it gets what it prints

A program runs in a process and an empty folder of its own, without settings of the user's.  What is another each time
(ports, versions) becomes `…`.
"""

import ast
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [ROOT / "docs" / "tour.md"]
PATIENCE = 120  #: seconds until a program that hangs fails
CODE = re.compile(r"^<!-- code: (\S+) (\S+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAM = re.compile(
    r"^(<!-- run -->\n```python\n(.*?)^```\n\n(?:[^\n`][^\n]*\n\n)?```text\n)(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
VARYING = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=rawchat/)[\d.]+|(?<=Python/)[\d.]+")


def filled(page: str) -> str:
    """Return a page with its code and its output as they are now."""
    page = CODE.sub(lambda found: code_block(found[1], found[2]), page)
    return PROGRAM.sub(lambda found: f"{found[1]}{output_of(found[2])}```", page)


def code_block(file: str, name: str) -> str:
    """Return the marker and the block with the source of `name` in `file`."""
    return f"<!-- code: {file} {name} -->\n```python\n{source(ROOT / file, name)}```"


def source(path: pathlib.Path, name: str) -> str:
    """Return the source of a function, class or constant, such as `Client.send`, without its docstring."""
    text = path.read_text("utf-8")
    node = find(ast.parse(text), name)
    lines = text.splitlines(keepends=True)
    kept = set(range(node.lineno - 1, node.end_lineno or node.lineno))
    body = getattr(node, "body", [])
    first = body[0] if isinstance(body, list) and body else None
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(body) > 1:
        end = first.end_lineno or first.lineno
        if not lines[end].strip():
            end += 1
        kept -= set(range(first.lineno - 1, end))
    return textwrap.dedent("".join(lines[number] for number in sorted(kept)))


def find(tree: ast.AST, name: str) -> ast.stmt:
    """Return the definition of `name` in a module; raise LookupError."""
    first, _, rest = name.partition(".")
    for node in reversed(getattr(tree, "body", [])):  # the last one: overloads stand before it
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        names = [getattr(node, "name", None), *(getattr(target, "id", None) for target in targets)]
        if first in names:
            return find(node, rest) if rest else node
    raise LookupError(name)


def output_of(program: str) -> str:
    """Run a program and return what it prints, standard error too."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    for name in ("SYSTEMROOT", "LD_LIBRARY_PATH"):
        if name in os.environ:
            environ[name] = os.environ[name]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-W", "ignore", "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            cwd=folder,
            env={**environ, "HOME": folder},
            timeout=PATIENCE,
        )
    if done.returncode:
        raise RuntimeError(f"a program of a page failed:\n{program}\n{done.stdout}")
    return VARYING.sub("…", done.stdout)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(filled(path.read_text("utf-8")), encoding="utf-8")
        print(f"wrote {path}", file=sys.stderr)
