"""Write docs/servers.md: `python -m tests.servers_page`."""

import contextlib
import io
import json
import os
import pathlib
import re
import shlex
import sys
from collections.abc import Sequence
from typing import Any
from unittest import mock

from rawchat.cli import main

from ..real_servers import NOT_OFFERED, RESULTS
from ..real_servers.checks import CHECKS
from ..test_servers import SERVERS
from .columns import COLUMNS, UNKNOWN, cell
from .settings import AZURE_URL, SETTINGS

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "servers.md"

TEXT = """# Servers that claim OpenAI compatibility

Many servers speak OpenAI's API, and each bends it. rawchat adapts to the shape of a response, never to a host's name: a server that is
not listed here is no worse off. This page is written by `python -m tests.servers_page`, and a test fails when it is stale.

## What works

Every cell is computed by playing the recordings of [tests/wire](../tests/wire/README.md) to rawchat. They have the shape of what the
server sends, after its documentation and public reports; what each contains, and what a careful client makes of it, is said in
[tests/test_servers.py](../tests/test_servers.py): search for the server's name there. An empty cell means that there is no recording.
The last column has the date of the last check against the real server: see [below](#checked-against-real-servers).

{works}

- **chat**, **streams**: the answer arrives whole, plain and streamed.
- **tools**: `tools.run` calls the functions with the right arguments and sends back their results, plain and streamed; *without `strict`*:
  the server refuses what rawchat adds by itself, and gets the request once more without it.
- **reasoning**: the field of the message that has it; `History` sends it back unchanged.
- **typed answers**: `parse` returns the instance; *in JSON mode*: the server refuses a schema, and is asked once more without one.
- **usage**: where the server counts the tokens.
- **overflow recovery**: the requests that `History` needs to find the 10 of 300 turns that fit, with each wording of the server's.
- **errors**: the exceptions that the recorded errors raise, with the server's own words.

## Settings

`base_url` is also `OPENAI_BASE_URL` and `--base-url`, the key `OPENAI_API_KEY`, the model `OPENAI_MODEL` and `--model`. A server without a key
needs none: `api_key=""`, or no `OPENAI_API_KEY`.

{settings}

### Azure

With the path `/openai/v1`, Azure is as any other server: the key goes as `Authorization: Bearer`. The older paths have the name of the
deployment and a date of the API in the URL, and the key in a header of its own:

```python
import os
import rawchat

client = rawchat.Client(
    api_key="",
    base_url="{azure_url}",
    default_headers={{"api-key": os.environ["AZURE_OPENAI_API_KEY"]}},
)
```

At a shell, `-H "Authorization:"` leaves out the header that `OPENAI_API_KEY` would make. `--curl` shows what would be sent:

{azure}

A token of Microsoft Entra ID goes as `Authorization: Bearer`: pass a function that returns it as `api_key`; it is called before each attempt.

### OpenRouter

{openrouter}

In Python: `default_headers={openrouter_headers}`. What OpenRouter takes beside OpenAI's parameters is passed on as it is:
`client.chat("Hi", provider={{"order": ["Groq"]}})`.

## Checked against real servers

These ran on one machine, with the weights of the embedded model (SmolLM2-135M). `make servers` installs and asks them, and writes this
table; it is not part of `make test`, because compiling llama-cpp-python takes minutes. *Not offered* is what the
server, or so small a model, does not do; features that the server's source lacks were not tried.

{real}
"""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def works_table(results: dict[str, Any]) -> str:
    rows = []
    for server in SERVERS:
        cells = [cell(column, server) for column in COLUMNS.values()]
        date = results[server]["date"] if server in results else UNKNOWN
        rows.append([SETTINGS[server].title, *cells, date])
    return table(["server", *COLUMNS, "checked"], rows)


def settings_table() -> str:
    rows = []
    for server in SERVERS:
        setting = SETTINGS[server]
        headers = ", ".join(f"`{name}: {value}`" for name, value in setting.headers.items())
        rows.append([setting.title, f"`{setting.base_url}`", headers, setting.note])
    return table(["server", "base_url", "headers", "to know"], rows)


def real_table(results: dict[str, Any]) -> str:
    """Return the result of each check with each real server; numbers refer to the notes below the table."""
    notes: list[str] = []
    rows = []
    for name in CHECKS:
        row = [name]
        for result in results.values():
            said = result["results"].get(name, UNKNOWN)
            if said not in ("yes", UNKNOWN):
                said = short_result(said, notes)
            row.append(said)
        rows.append(row)
    head = ["", *(f"{result['server']}, {result['date']}" for result in results.values())]
    lines = [f"{number}. {note}" for number, note in enumerate(notes, 1)]
    return "\n".join([table(head, rows), "", *lines]).rstrip()


def short_result(said: str, notes: list[str]) -> str:
    """Return a result that is not "yes" for the table, with the number of its note, which is added to `notes`."""
    word = "**no**"
    if said.startswith(NOT_OFFERED):
        word = "not offered"
        said = said[len(NOT_OFFERED) :]
    if said not in notes:
        notes.append(said)
    return f"{word} ({notes.index(said) + 1})"


def command(shown: str, **environ: str) -> str:
    """Return a block of Markdown with a command of the command line, and what it prints with these variables."""
    printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with mock.patch.dict("os.environ", environ, clear=True), contextlib.redirect_stdout(printed):
        words = [os.path.expandvars(word) for word in shlex.split(shown)]
        code = main(words[3:])
    printed.flush()
    out = printed.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert code == 0, out
    # It has the versions of rawchat and of Python.
    out = re.sub("User-Agent: [^']*", "User-Agent: …", out)
    return f"```console\n$ {shown}\n{out}```"


def azure_command() -> str:
    shown = (
        f"python -m rawchat --curl --no-stdin --no-stream --base-url '{AZURE_URL}' "
        '-H "api-key: $AZURE_OPENAI_API_KEY" -H "Authorization:" --model DEPLOYMENT Hi'
    )
    return command(shown, AZURE_OPENAI_API_KEY="made-up-0123456789", OPENAI_API_KEY="sk-0")


def openrouter_command() -> str:
    setting = SETTINGS["openrouter"]
    headers = " ".join(f"-H '{name}: {value}'" for name, value in setting.headers.items())
    shown = (
        f"python -m rawchat --curl --no-stdin --no-stream --base-url {setting.base_url} "
        f"{headers} --model openai/gpt-4o-mini Hi"
    )
    return command(shown, OPENAI_API_KEY="sk-made-up-0123456789")


def page() -> str:
    """Return the page."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    return TEXT.format(
        works=works_table(results),
        settings=settings_table(),
        azure_url=AZURE_URL,
        azure=azure_command(),
        openrouter=openrouter_command(),
        openrouter_headers=json.dumps(SETTINGS["openrouter"].headers),
        real=real_table(results),
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}", file=sys.stderr)
