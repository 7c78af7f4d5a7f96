"""The words: constructions that made a native reader stumble, so that they do not come back.

The check covers the docstrings, comments and texts of the package and the examples, and the pages without their code.  A pattern here is a construction, not a taste: each has a plain way to say the same.
"""

import ast
import io
import pathlib
import re
import tokenize
from collections.abc import Iterator

import pytest

ROOT = pathlib.Path(__file__).parents[1]
CODE = sorted([*ROOT.glob("rawchat/**/*.py"), *ROOT.glob("examples/*.py")])
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "Makefile", ROOT / "tests" / "rows.py"]
)

#: a pattern -> how to say it instead
STUMBLES = {
    # A negated noun in place of a negated verb.
    r"\b(that|which|what|whatever) (is|are|was|were) no [a-z]": "that is not a …",
    r"\b(if|where|for what|what) (it|that|one)? ?(is|are) none\b": "if it is not a …",
    r"\b(JSON|URL|name|body|text|answer|line) that is none\b": "one that is not …",
    r"\b(is|are|was|were) no (text|string|list|object|number|dict|picture|part)s?\b": "is not a …",
    # Demonstratives without a noun.
    r"\b(for|after|within|than|of|by) so (many|much|long)\b": "name the number or the time",
    r"\bfor what (is|are|was|were)\b(?! (asked|sent|printed))": "for a … that is",
    r"\bwhat (came|comes)\b(?! (after|back|before|next|with))": "the response; what arrived; the result",
    r"\bwhat (it|they) gives?\b": "its result",
    r"\bas (it|they) (comes?|came)\b": "as it arrives; unchanged",
    r"\bwhat (it|they) (does|do) not tell\b": "not documented",
    r"\bstands? for (it|them)\b": "is shown in its place",
    r"\b(is|are) there twice\b": "appears twice",
    r"\bwhat that is worth\b": "say what it is",
    # Persons that are not there.
    r"\b(nobody|somebody)\b": "name who, or use the passive",
    r"\bwhoever\b": "the caller, the first one",
    # Verbs of speech for machines, and spoken verbs.
    r"\b(tells?|told|hears?|heard) (what|how|whether|by|in|inside|on)\b": "says, prints, reports, receives",
    r"\b(go|goes|going|went) on (with|from|whatever|where)\b": "continue",
    r"\bgoes (round|home)\b": "returns",
    r"\bfell silent\b": "no data for … s",
    r"\bhow (it|they) fared?\b": "its state",
    r"\bworth a (word|line|look)\b": "say when it is reported",
    # Poetry, riddles, archaisms.
    r"\b(farewell|sober|in vain|be it|ever so|as many a|for ever and)\b": "plain words",
    r"\bone mostly\b": "mostly used",
    r"\ball the same\b": "even so",
    r"\bthe short of it\b": "in short",
    r"\bforgets only what\b": "keeps",
    r"\b(keys?|the key) (rests?|stays? at home)\b": "cools down; is never sent",
    r"\bstand(s)? in for each other\b": "fallback",
    # Messages of the first version.
    r"\bhalf of a character, not text\b": "lone surrogate",
    r"\bis another verb\b": "use …",
    r"\bholds? no verdict\b": "without 'flagged'",
    r"\bshow this$": "show this help and exit",
    r"\bas (soon as |often as )?it (is|was) there\b": "as soon as it arrives; as it occurs",
    r"\bsmall letters?\b": "lower case",
    # A verb at the end, an object first.
    r"\bOf (it|them|`\w+`) only\b": "only … of",
    r"\bnothing more than that it\b": "only that it",
    r"(?:^|[.:;] )(?:Checked|Given|Needed|Not even \w+|Tried) (?:is|are|was|were)\b": "subject first",
}
ANY_PATTERN = re.compile("|".join(STUMBLES), re.IGNORECASE)
PATTERNS = {re.compile(pattern, re.IGNORECASE): advice for pattern, advice in STUMBLES.items()}


def prose(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield the line numbers and the texts of a file that people read."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        source = re.sub(
            r"^```.*?^```|<!--.*?-->",
            lambda found: "\n" * found[0].count("\n"),
            source,
            flags=re.MULTILINE | re.DOTALL,
        )
        yield from paragraphs(source)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            yield node.lineno, node.value
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def paragraphs(text: str) -> Iterator[tuple[int, str]]:
    """Yield the paragraphs of a page with the numbers of their first lines."""
    number = 1
    for paragraph in text.split("\n\n"):
        yield number, paragraph
        number += paragraph.count("\n") + 2


def stumbles(path: pathlib.Path) -> list[str]:
    """Return the stumbles of a file, each with its line and what to write instead."""
    found = []
    for number, text in prose(path):
        folded = " ".join(text.split())
        if not ANY_PATTERN.search(folded):
            continue
        for pattern, advice in PATTERNS.items():
            match = pattern.search(folded)
            if match:
                found.append(f"{path.relative_to(ROOT)}:{number}: {match[0]!r}; write: {advice}")
    return found


@pytest.mark.parametrize("path", CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_texts_of_the_code_read_well(path: pathlib.Path) -> None:
    assert stumbles(path) == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_reads_well(path: pathlib.Path) -> None:
    assert stumbles(path) == []


def test_stumbles_are_found(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    module = tmp_path / "a.py"
    module.write_text(
        '"""Raise TypeError for a value that is no\n    mapping."""\nx = 1  # nobody\n', "utf-8"
    )
    page = tmp_path / "a.md"
    page.write_text("# It\n\n```\nnobody\n```\n\nThe command goes\non from here.\n", "utf-8")
    assert [line.split(";")[0] for line in stumbles(module) + stumbles(page)] == [
        "a.py:1: 'that is no m'",
        "a.py:3: 'nobody'",
        "a.md:7: 'goes on from'",
    ]


def test_a_docstring_begins_with_a_verb_not_with_a_question() -> None:
    clause = re.compile(r"(What|Who|Which|Whether|Where|When|How|Is|Does|Has|May|Can)\b")
    found = []
    for path in sorted(ROOT.glob("rawchat/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                docstring = ast.get_docstring(node) or ""
                if clause.match(docstring) or docstring.split("\n")[0].endswith("?"):
                    found.append(f"{path.name}: {node.name}: {docstring[:40]}")
    assert found == []
