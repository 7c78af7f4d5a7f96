"""Completion scripts, tried in the shells themselves: bash everywhere, zsh and fish where they are."""

import pathlib
import shutil
import subprocess

import pytest

from rawchat.cli.completion import completion_script
from rawchat.cli.options import all_options

from ..command import Run, line

ALL = {flag for option in all_options() for flag in option.flags}


@pytest.fixture
def folder() -> pathlib.Path:
    for name in ("key one.txt", "keys.json", "other"):
        pathlib.Path(name).touch()
    return pathlib.Path()


def shell(name: str, *argv: str) -> str:
    """What a shell shows that has read the script; skips where it is not installed."""
    if not shutil.which(name):
        pytest.skip(f"no {name} here")
    pathlib.Path("rawchat.script").write_text(completion_script(name), encoding="utf-8")
    return subprocess.run(
        [name, *argv], check=True, capture_output=True, text=True, timeout=30
    ).stdout


def bash(*words: str) -> list[str]:
    """What bash offers for the last of `words`."""
    code = (
        'source rawchat.script; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _rawchat; '
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    return [
        text
        for text in shell("bash", "--norc", "-c", code, "bash", "rawchat", *words).splitlines()
        if text
    ]


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["--mod"], ["--model", "--models", "--moderate"]),
        (["Hi", "--retr"], ["--retries"]),
        (["--completion", ""], ["bash", "fish", "zsh"]),
        (["--color", "a"], ["always", "auto"]),
        (["--color", "="], ["always", "auto", "never"]),
        (["--color", "=", "ne"], ["never"]),
        (["--key-file", "key"], ["key one.txt", "keys.json"]),
        (["--key-file", "=", "keys"], ["keys.json"]),
        (["-a", "oth"], ["other"]),
        (["--har", "keys"], ["keys.json"]),
        (["-s", "@keys"], ["@keys.json"]),
        (["@key"], ["@key one.txt", "@keys.json"]),
        (["-m", ""], []),
        (["keys"], []),
        (["--nonsense"], []),
    ],
)
def test_bash_completes_options_their_values_and_files(
    folder: pathlib.Path, words: list[str], offered: list[str]
) -> None:
    assert sorted(bash(*words)) == offered


def test_bash_offers_every_option() -> None:
    assert set(bash("-")) == ALL


def test_bash_has_it_for_the_command() -> None:
    assert (
        shell("bash", "--norc", "-c", "source rawchat.script; complete -p rawchat")
        == "complete -F _rawchat rawchat\n"
    )


def fish(line: str) -> list[str]:
    """What fish offers for a command line."""
    return [
        each.split("\t")[0]
        for each in shell(
            "fish", "--no-config", "-c", f"source rawchat.script; complete -C {line!r}"
        ).splitlines()
    ]


def test_fish_completes_options_their_values_and_files(folder: pathlib.Path) -> None:
    assert sorted(fish("rawchat --mod")) == ["--model", "--models", "--moderate"]
    assert sorted(fish("rawchat --color a")) == ["always", "auto"]
    assert fish("rawchat --key-file keys") == ["keys.json"]
    assert fish("rawchat keys") == []
    assert {*fish("rawchat -"), *fish("rawchat --")} >= ALL


def test_zsh_reads_its_script_and_has_it_for_the_command() -> None:
    code = (
        "autoload -Uz compinit; compinit -D -u; source rawchat.script; print ${_comps[rawchat]}; "
        "_arguments() { print -rl -- $@ }; _rawchat"
    )
    name, *specs = shell("zsh", "-f", "-c", code).splitlines()
    assert name == "_rawchat"
    assert any(
        spec.startswith("(--color)--color=[colour on standard error\\: auto")
        and spec.endswith("]:WHEN:(auto always never)")
        for spec in specs
    )
    assert (
        "(-m --model)--model=[the model (default\\: OPENAI_MODEL, then gpt-4o-mini)]:NAME: "
        in specs
    )
    for flag in ALL:
        assert any(f"){flag}" in spec or f"*{flag}" in spec for spec in specs)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_is_printed_and_names_every_option(run: Run, name: str) -> None:
    result = run("--completion", name)
    assert (result.code, result.err) == (0, "")
    assert result.out.decode() == completion_script(name)
    for flag in ALL:
        spelled = {"fish": f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}"}.get(
            name, flag
        )
        assert spelled in completion_script(name)


def test_another_shell_is_wrong_use(run: Run) -> None:
    result = run("--completion", "tcsh")
    assert (result.code, result.out) == (2, b"")
    assert "--completion: not bash, zsh, fish: tcsh" in line(result)
