"""Fill the pages with code and with what programs print, so that neither can go stale.

    python -m tests.fill             write the pages anew

In a page, a comment stands above each block that is filled:

    <!-- code: rawchat/stream.py Stream.close -->    the source of a function or class, without its docstring;
                                                     several names are allowed, separated by spaces
    <!-- run -->                                     a program; the ```text block after it gets what it prints
    <!-- run: NAME -->                               a program that gets its output in comments that begin with #>;
                                                     OPENAI_BASE_URL is the scripted server of that name, or the
                                                     embedded model for the name embedded_model
    <!-- shell: NAME -->                             commands of a shell in a ```console block, with what they print

A line of a program that ends in a comment #> gets the next line of the output, and what is left is added at the end; so
either each line that prints has the comment, or those that have it come first.

Programs and shells run in an empty folder of their own, without settings of the user's; `page_servers` has the scripted
servers.  What is another each time (ports, versions) becomes `…`.
"""

import ast
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from typing import Optional

import rawchat

from .page_servers import SCRIPTS
from .server import serving

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
    ROOT / "docs" / "tour.md",
    ROOT / "docs" / "bulk.md",
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
]
PATIENCE = 120  #: seconds until a program that hangs fails
CODE = re.compile(
    r"^<!-- code: (\S+) ([^>\n]+) -->\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
PROGRAM = re.compile(
    r"^(<!-- run -->\n```python\n(.*?)^```\n\n(?:[^\n`][^\n]*\n\n)?```text\n)(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
SNIPPET = re.compile(r"^(<!-- run: (\w+) -->\n```python\n)(.*?)^```$", re.MULTILINE | re.DOTALL)
OUTPUT = re.compile(r"^#>.*\n", re.MULTILINE)
INLINE_OUTPUT = re.compile(r"(?<=  #>).*$", re.MULTILINE)
EMBEDDED_MODEL = "embedded_model"
SHELL = re.compile(r"^(<!-- shell: (\w+) -->\n```console\n)(.*?)^```$", re.MULTILINE | re.DOTALL)
VARYING = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=rawchat/)[\d.]+|(?<=Python/)[\d.]+")


def filled(page: str) -> str:
    """Return a page with its code and its output as they are now, except for what the embedded model answers."""
    page = CODE.sub(lambda found: code_block(found[1], found[2]), page)
    page = PROGRAM.sub(lambda found: f"{found[1]}{output_of(found[2])}```", page)

    def filled_snippet(found: "re.Match[str]") -> str:
        if found[2] == EMBEDDED_MODEL:
            return found[0]
        with serving(*SCRIPTS[found[2]]) as server:
            return f"{found[1]}{with_output(found[3], server.url)}```"

    page = SNIPPET.sub(filled_snippet, page)
    return SHELL.sub(lambda found: f"{found[1]}{shell_output(found[3], found[2])}```", page)


def filled_by_model(page: str, base_url: str) -> str:
    """Return a page with what its examples with the embedded model, which is served at `base_url`, print now."""

    def filled_snippet(found: "re.Match[str]") -> str:
        if found[2] != EMBEDDED_MODEL:
            return found[0]
        return f"{found[1]}{with_output(found[3], base_url)}```"

    return SNIPPET.sub(filled_snippet, page)


def code_block(file: str, names: str) -> str:
    """Return the marker and the block with the source of each of `names` in `file`."""
    code = "".join(source(ROOT / file, name) for name in names.split())
    return f"<!-- code: {file} {names} -->\n```python\n{code}```"


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


def with_output(program: str, base_url: str) -> str:
    """Run a program and return it with what it prints."""
    program = OUTPUT.sub("", program)
    lines = iter(output_of(program, base_url).splitlines())
    program = INLINE_OUTPUT.sub(lambda found: f" {next(lines, '(no output)')}", program)
    return program + "".join(f"#> {line}\n" for line in lines)


def output_of(program: str, base_url: Optional[str] = None) -> str:
    """Run a program and return what it prints, standard error too."""
    with folder_and_environment(base_url) as (folder, environ):
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-W", "ignore", "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            cwd=folder,
            env=environ,
            timeout=PATIENCE,
        )
    if done.returncode:
        raise RuntimeError(f"a program of a page failed:\n{program}\n{done.stdout}")
    return VARYING.sub("…", done.stdout)


def shell_output(text: str, server_name: str) -> str:
    """Run the commands of a console block and return it with what they print."""
    from .manual import Shown, commands, in_shell, transcript  # not on Windows

    typed = [each.command for each in commands(text)]
    with serving(*SCRIPTS[server_name]) as server, folder_and_environment(server.url) as place:
        folder, environ = place
        outputs = in_shell(typed, pathlib.Path(folder), {**environ, "PYTHON": sys.executable})
    shown = [Shown(command, output) for command, output in zip(typed, outputs)]
    return VARYING.sub("…", transcript(shown))


@contextlib.contextmanager
def folder_and_environment(base_url: Optional[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Give an empty folder and the environment variables of a program that asks the server at `base_url`."""
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "LC_ALL": "C.UTF-8",
    }
    for name in ("SYSTEMROOT", "LD_LIBRARY_PATH"):
        if name in os.environ:
            environ[name] = os.environ[name]
    if base_url:
        environ.update(OPENAI_BASE_URL=base_url, OPENAI_API_KEY="sk-example-0123456789")
    with tempfile.TemporaryDirectory() as folder:
        environ["HOME"] = folder
        yield folder, environ


def write_pages() -> None:
    """Write the pages anew; what the embedded model answers, only where it is installed."""
    with contextlib.ExitStack() as stack:
        local_url = None
        if rawchat.local.available():
            local_url = stack.enter_context(rawchat.local.serve())
        for path in PAGES:
            page = filled(path.read_text("utf-8"))
            if local_url:
                page = filled_by_model(page, local_url)
            path.write_text(page, encoding="utf-8")
            print(f"wrote {path}", file=sys.stderr)


if __name__ == "__main__":
    write_pages()
