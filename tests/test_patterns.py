"""No pattern, and nothing else that reads from the network, takes more than linear time.

A pattern in quadratic time holds the interpreter's lock for minutes over a megabyte, where no deadline can end it.
"""

import ast
import importlib
import json
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple, Union

import pytest

import rawchat
from rawchat.trace.redactor import escaped_pattern
from rawchat.transport.proxy_pages import any_of

try:
    sre = importlib.import_module("re._parser")  # from Python 3.11 on
except ImportError:
    sre = importlib.import_module("sre_parse")

PACKAGE = pathlib.Path(rawchat.__file__).parent
METHODS = {"match", "fullmatch", "search", "findall", "finditer", "split", "sub", "subn"}
ANYTHING = ' \n\t"\\a0<-'  # characters that every pattern is tried with
OF_THE_CALLER = {("validate.py", "pattern")}  # of a schema that the caller gave: ours is none of it
# Runs the pattern on short texts first, to find its worst ones, and on half a megabyte of those.  Linear time over that
# is a fifth of a second, quadratic time many minutes: a limit of 20 seconds of computing tells them apart anywhere.
CHILD = """
import json, re, sys, time
try:
    import resource
except ImportError:
    resource = None

def allow_20_seconds_more():
    if resource:
        end = int(time.process_time()) + 20
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))

pattern, flags, methods, texts = json.load(sys.stdin)
if pattern[0] == "bytes":
    pattern = pattern[1].encode("latin-1")
    texts = [[part.encode("latin-1", "replace") for part in text] for text in texts]
else:
    pattern = pattern[1]
compiled = re.compile(pattern, flags)

def seconds(method, text, size):
    start, unit, end = text
    whole = start + unit * (size // len(unit)) + end
    given = [whole[:0], whole] if method in ("sub", "subn") else [whole]
    before = time.process_time()
    found = getattr(compiled, method)(*given)
    if method == "finditer":
        for _ in found:
            pass
    return time.process_time() - before

for method in methods:
    worst = sorted(texts, key=lambda text: seconds(method, text, 1000))[-3:]
    for text in worst:
        print(method, ascii(text), flush=True)
        allow_20_seconds_more()
        seconds(method, text, 2**19)
print("linear")
"""


class Use(NamedTuple):
    """A pattern of the package: where it stands, and the methods that it is used with."""

    place: str
    pattern: Union[str, bytes]
    flags: int
    methods: tuple[str, ...]


def uses() -> Iterator[Use]:
    """Yield every pattern that the package gives to `re`."""
    nodes = {
        path: list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
        for path in sorted(PACKAGE.rglob("*.py"))
    }
    by_name: dict[str, set[str]] = {}  # of compiled patterns, by the names that they have
    for nodes_of_file in nodes.values():
        for node in nodes_of_file:
            if isinstance(node, ast.Attribute) and node.attr in METHODS:
                owner = node.value
                name = ast.unparse(owner).rpartition(".")[2]
                by_name.setdefault(name, set()).add(node.attr)
    for path, nodes_of_file in nodes.items():
        names = {
            id(node.value): target.id
            for node in nodes_of_file
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in nodes_of_file:
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            method, owner = node.func.attr, node.func.value
            if (
                not isinstance(owner, ast.Name)
                or owner.id != "re"
                or method not in METHODS | {"compile"}
            ):
                continue
            given = node.args[0]
            if isinstance(given, ast.Name) and (path.name, given.id) in OF_THE_CALLER:
                continue
            yield Use(
                f"{path.name}:{node.lineno}",
                text_of(given),
                flags_of(node),
                tuple(sorted(by_name.get(names.get(id(node), ""), ())))
                if method == "compile"
                else (method,),
            )


def text_of(node: ast.expr) -> Union[str, bytes]:
    """Return the pattern that an expression stands for, with a word for whatever is filled in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(part.value) if isinstance(part, ast.Constant) else "name" for part in node.values
        )
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "escaped_pattern":
        return escaped_pattern(["aaab", "sk-a"])
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "any_of":
        return any_of([b"aaab", b"sk-a"])
    try:
        found: Union[str, bytes] = ast.literal_eval(node)
    except ValueError:
        place = f"line {node.lineno}: {ast.unparse(node)}"
        raise AssertionError(f"{place}: write the pattern out, so that it can be checked") from None
    return found


def flags_of(call: ast.Call) -> int:
    """Return the flags that a call of `re` is given."""
    found = 0
    for node in [
        *call.args[1:],
        *(keyword.value for keyword in call.keywords if keyword.arg == "flags"),
    ]:
        for part in ast.walk(node):
            if (
                isinstance(part, ast.Attribute)
                and isinstance(part.value, ast.Name)
                and part.value.id == "re"
            ):
                found |= int(getattr(re, part.attr))
    return found


def worst_cases(pattern: Union[str, bytes], flags: int) -> list[tuple[str, str, str]]:
    """Return texts, as (start, what is repeated, end), that backtrack: repeated characters, prefixes, near matches."""
    parsed = sre.parse(pattern, flags)
    steps = list(leaves(parsed, every=False))
    prefixes = ["".join(steps[:length]) for length in range(1, len(steps) + 1)]
    few = sorted({*ANYTHING, *steps[:4]})
    units = [
        *sorted({*ANYTHING, *leaves(parsed, every=True)}),
        *prefixes,
        *(prefix + " " for prefix in prefixes),
    ]
    for choice in range(1, most_alternatives(parsed)):
        other_steps = list(leaves(parsed, every=False, choice=choice))
        units += ["".join(other_steps[:length]) for length in range(2, len(other_steps) + 1)]
    pairs = [one + other for one in few for other in few if one != other]
    found = [(start, pair) for start in ["", *prefixes[:4]] for pair in pairs]
    found += [(start, unit) for start in ["", *prefixes[:16], *prefixes[-1:]] for unit in units]
    return [(start, unit, end) for start, unit in found for end in ("", "'\0")]


def most_alternatives(parsed: Any) -> int:
    """Return the number of alternatives of the branch of a pattern that has the most."""
    most = 1
    for op, value in parsed:
        name = str(op)
        inner = []
        if name == "BRANCH":
            inner = value[1]
            most = max(most, len(inner))
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            inner = [value[2]]
        elif name == "SUBPATTERN":
            inner = [value[-1]]
        elif name == "ATOMIC_GROUP":
            inner = [value]
        most = max([most, *map(most_alternatives, inner)])
    return most


def leaves(parsed: Any, every: bool, choice: int = 0) -> Iterator[str]:
    """Yield, in order, a character for each part of a pattern that takes one; together they nearly match.

    Of alternatives the one at `choice` counts (the last one where there are fewer), or `every` one.
    """
    for op, value in parsed:
        name = str(op)
        if name == "LITERAL":
            yield chr(value)
        elif name == "NOT_LITERAL":
            yield "a" if value != ord("a") else "b"
        elif name == "ANY":
            yield "a"
        elif name == "IN":
            yield member(value)
            if every:
                yield from (chr(code) for kind, code in value if str(kind) == "LITERAL")
        elif name == "BRANCH":
            chosen = min(choice, len(value[1]) - 1)
            for branch in value[1] if every else [value[1][chosen]]:
                yield from leaves(branch, every, choice)
        elif name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"):
            yield from leaves(value[2], every, choice)
        elif name == "SUBPATTERN":
            yield from leaves(value[-1], every, choice)
        elif name == "ATOMIC_GROUP":
            yield from leaves(value, every, choice)


def member(items: Any) -> str:
    """Return a character of a class."""
    starts = [chr(value[0]) for op, value in items if str(op) == "RANGE"]
    for character in [*'a0 -=<"\\\n', *map(chr, range(33, 256)), "\udc80", *starts]:
        taken = False
        negated = False
        for op, value in items:
            name = str(op)
            if name == "NEGATE":
                negated = True
            elif name == "LITERAL":
                taken |= ord(character) == value
            elif name == "RANGE":
                taken |= value[0] <= ord(character) <= value[1]
            elif name == "CATEGORY":
                taken |= category(str(value), character)
        if taken is not negated:
            return character
    raise AssertionError(f"an empty class: {items}")


def category(name: str, character: str) -> bool:
    """Return whether a character is of a category such as CATEGORY_SPACE."""
    known = {
        "SPACE": r"\s",
        "DIGIT": r"\d",
        "WORD": r"\w",
        "NOT_SPACE": r"\S",
        "NOT_DIGIT": r"\D",
        "NOT_WORD": r"\W",
    }
    return bool(re.fullmatch(known[name.replace("CATEGORY_", "")], character))


def child(use: Use) -> "subprocess.CompletedProcess[str]":
    """Run a pattern on its worst cases in a process of its own."""
    text = use.pattern.decode("latin-1") if isinstance(use.pattern, bytes) else use.pattern
    kind = "bytes" if isinstance(use.pattern, bytes) else "str"
    given = json.dumps([[kind, text], use.flags, use.methods, worst_cases(use.pattern, use.flags)])
    return subprocess.run(
        [sys.executable, "-c", CHILD],
        input=given,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )


@pytest.mark.parametrize("use", list(uses()), ids=lambda use: str(use.place))
def test_every_pattern_takes_linear_time(use: Use) -> None:
    assert use.methods, "compiled, but no use of it was found"
    ran = child(use)
    assert ran.stdout.endswith("linear\n"), (
        f"{use.pattern!r} is too slow: {ran.stdout[-300:]}{ran.stderr[-1000:]}"
    )


def test_the_worst_cases_repeat_the_prefix_of_every_alternative() -> None:
    """One that begins with a word and goes on with `.*` searches to the end again from each of its words."""
    cases = worst_cases(r"schema|format.*(?:unknown|refused)", 0)
    units = {unit for _, unit, _ in cases}
    assert {"schema", "format"} <= units


MERGE = """
from rawchat.merge import MessageAccumulator
merge = MessageAccumulator()
for at in range(%d):
    merge.add({'choices': [%s]})
merge.build()
"""
LIMITED = """
try:
    import resource
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
except ImportError:
    pass
"""


@pytest.mark.parametrize(
    "code",
    [
        r"""from rawchat.reply import looks_truncated
assert looks_truncated(b'{"code": "' + b'print(\\"a\\")' * 100_000)""",
        r"""from rawchat.compat.error_responses import error_from_status
assert "<<<" in error_from_status(500, {}, b"<" * 2**20, "GET http://h/").message""",
        MERGE
        % (
            400_000,
            "{'delta': {'tool_calls': [{'index': 0, 'id': 'c', 'function': {'name': 'ab'}}]}}",
        ),
        MERGE
        % (
            60_000,
            "{'delta': {'tool_calls': [{'index': at, 'id': 'c', 'function': {'name': 'ab'}}]}}",
        ),
        MERGE % (200_000, "{'delta': {}, 'logprobs': {'content': [1, 2, 3, 4, 5, 6, 7, 8, 9]}}"),
        MERGE % (400_000, "{('delta' if at < 200_000 else 'message'): {'content': 'a'}}"),
        MERGE % (400_000, "{('delta' if at < 200_000 else 'message'): {'content': '', 'x': ''}}"),
        MERGE
        % (200_000, "{'delta': {'tool_calls': [{'index': 0, 'function': {'arguments': ''}}]}}"),
        r"""from rawchat.compat.unsupported import refuses_format
assert not refuses_format("response_format " * 2**20)""",
    ],
    ids=[
        "cut JSON",
        "error page",
        "name in parts",
        "many tool calls",
        "logprobs",
        "messages after deltas",
        "empty messages after empty deltas",
        "empty arguments",
        "refused format",
    ],
)
def test_what_is_read_takes_linear_time(code: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED + code],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": str(PACKAGE.parent)},
    )
    assert ran.returncode == 0, ran.stderr[-1000:] or "too slow"
