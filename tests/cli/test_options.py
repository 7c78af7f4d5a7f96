"""Options: what the command line and the environment say, and which has the last word."""

import pathlib
import re
from typing import Any

import pytest

from rawchat.cli.inputs import UsageError
from rawchat.cli.options import Options, all_options
from rawchat.cli.parser import EPILOG, accept_old_continue, make_parser, parse_args
from rawchat.cli.resolve import resolve


def test_every_option_has_a_name_a_help_and_a_variable_of_its_own() -> None:
    options = list(all_options())
    assert (
        len({option.name for option in options})
        == len({option.variable for option in options})
        == len(options)
    )
    assert all(option.help for option in options)
    flags = [flag for option in options for flag in option.flags]
    assert len(set(flags)) == len(flags)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("MODEL", "mine", "mine"),
        ("TIMEOUT", "1.5", 1.5),
        ("MAX_TOKENS", "7", 7),
        ("N", "2", 2),
        ("NO_STREAM", "1", True),
        ("NO_STREAM", "Yes", True),
        ("NO_STREAM", "off", False),
        ("NO_STREAM", "", False),
        ("STOP", "a b\nc\n", ["a b", "c"]),
        ("OPTION", "seed 7\nuser  J D", [["seed", "7"], ["user", "J D"]]),
        ("HEADER", "X: a b", ["X: a b"]),
        ("COLOR", "never", "never"),
        ("SYSTEM", "", None),
        ("STOP", "", []),
    ],
)
def test_a_variable_sets_an_option(name: str, text: str, value: Any) -> None:
    assert getattr(resolve({}, {f"RAWCHAT_{name}": text}), name.lower()) == value


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("TIMEOUT", "soon", "RAWCHAT_TIMEOUT: not a number: soon"),
        ("N", "1.5", "RAWCHAT_N: not a whole number: 1.5"),
        ("JSON", "maybe", "RAWCHAT_JSON: not 1 or 0: maybe"),
        ("COLOR", "red", "RAWCHAT_COLOR: not auto, always, never: red"),
        ("OPTION", "seed 1\nlonely", "RAWCHAT_OPTION: not KEY VALUE: lonely"),
    ],
)
def test_a_variable_that_cannot_be_used_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve({}, {f"RAWCHAT_{name}": text})
    assert str(caught.value) == said


def test_the_command_line_comes_before_the_environment() -> None:
    options = resolve(
        {"model": "a", "stop": ["x"]}, {"RAWCHAT_MODEL": "b", "RAWCHAT_STOP": "y", "RAWCHAT_N": "3"}
    )
    assert (options.model, options.stop, options.n, options.given) == (
        "a",
        ["x"],
        3,
        {"model", "stop"},
    )
    assert resolve({"timeout": 1.0}, {"RAWCHAT_TIMEOUT": "bad, but not asked"}).timeout == 1.0


def test_help_and_version_have_no_variable() -> None:
    options = resolve({}, {"RAWCHAT_HELP": "1", "RAWCHAT_VERSION": "1"})
    assert (options.help, options.version) == (False, False)


def test_two_that_do_not_go_together_are_refused_and_a_variable_steps_back() -> None:
    with pytest.raises(UsageError, match="--local and --base-url are two different servers"):
        resolve({"local": True, "base_url": "http://h"}, {})
    with pytest.raises(UsageError, match="--local and --base-url"):
        resolve({}, {"RAWCHAT_LOCAL": "1", "RAWCHAT_BASE_URL": "http://h"})
    options = resolve({"base_url": "http://h"}, {"RAWCHAT_LOCAL": "1"})
    assert (options.local, options.base_url) == (False, "http://h")
    assert resolve({"no_stream": True}, {"RAWCHAT_JSONL": "1", "RAWCHAT_JSON": "1"}).json is True


def test_settings_without_effect_are_reported_and_the_command_runs() -> None:
    warnings: list[str] = []
    environ = {"RAWCHAT_MODLE": "x", "RAWCHAT_HOME": "x", "RAWCHAT_N": "2"}
    options = parse_args(["--prices", "p.json", "Q"], warnings.append, environ)
    assert (options.prompt, options.n) == (["Q"], 2)
    assert warnings == [
        "--prices has no effect without -v or --log",
        "RAWCHAT_HOME sets no option (see --help)",
        "RAWCHAT_MODLE sets no option (did you mean RAWCHAT_MODEL?)",
    ]


def test_prices_that_are_used_or_come_from_a_variable_are_not_reported() -> None:
    for argv in (["-v"], ["--log", "calls.jsonl"]):
        parse_args(["--prices", "p.json", *argv, "Q"], pytest.fail, {})
    parse_args(["Q"], pytest.fail, {"RAWCHAT_PRICES": "p.json"})


def test_the_help_fits_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for columns, widest in (("60", 60), ("80", 80), ("250", 100)):
        monkeypatch.setenv("COLUMNS", columns)
        lines = make_parser().format_help().splitlines()
        # a command that is longer than the terminal is wide cannot be broken
        texts = [line for line in lines if "http://" not in line]
        assert widest - 12 <= max(map(len, texts)) <= widest
    assert "--base-\n" not in make_parser().format_help()


def test_the_type_checker_knows_every_option() -> None:
    assert Options.__annotations__.keys() == {
        "prompt",
        "given",
        *(option.name for option in all_options()),
    }


def test_the_variables_of_bulk_are_not_reported() -> None:
    from rawchat.bulk import __main__ as bulk

    variables = [bulk.variable_of(name) for name in bulk.VALUE_OPTIONS]
    options = parse_args(["Q"], pytest.fail, dict.fromkeys(variables, "1"))
    assert options.retries == 1


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("timeout", "0", "not a positive number: 0"),
        ("deadline", "-1", "not a positive number: -1"),
        ("deadline", "inf", "not a positive number: inf"),
        ("timeout", "nan", "not a positive number: nan"),
        ("timeout", "abc", "not a number: abc"),
        ("retries", "-1", "must be 0 or more: -1"),
        ("temperature", "abc", "not a number: abc"),
        ("max_tokens", "1.5", "not a whole number: 1.5"),
    ],
)
def test_a_number_is_refused_in_one_voice(name: str, text: str, problem: str) -> None:
    flag = "--" + name.replace("_", "-")
    variable = f"RAWCHAT_{name.upper()}"
    with pytest.raises(UsageError, match=f"^{flag}: {problem}$"):
        parse_args([flag, text], pytest.fail, {})
    with pytest.raises(UsageError, match=f"^{variable}: {problem}$"):
        parse_args(["Q"], pytest.fail, {variable: text})


def test_the_old_spelling_of_conversation_is_accepted() -> None:
    assert accept_old_continue("--continue=talk.jsonl") == "--conversation=talk.jsonl"
    assert accept_old_continue("--continue") == "--continue"
    assert accept_old_continue("a=b") == "a=b"


def test_the_exit_codes_of_the_help_are_those_of_the_readme() -> None:
    readme = (pathlib.Path(__file__).parents[2] / "README.md").read_text("utf-8")
    shown = " ".join(EPILOG.split())
    for code in ("5", "10"):
        meaning = re.findall(rf"^\|.*\b{code} \| ([^|]+) \|", readme, re.MULTILINE)[0]
        assert f" {code} {meaning.replace('`', '')} " in shown
