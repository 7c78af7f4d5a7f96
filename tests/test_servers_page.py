"""docs/servers.md shows what rawchat does today, and each of its columns can fail."""

import json
import re
from typing import Any

import pytest

import rawchat
from rawchat.compat.wordings import OVERFLOW_WORDINGS, Wording
from rawchat.wire import Request, Response

from .real_servers import RESULTS
from .recordings import Recording
from .server import completion
from .servers_page import __main__ as page
from .servers_page import columns
from .servers_page.columns import COLUMNS, cell
from .servers_page.settings import SETTINGS
from .test_servers import SERVERS

row = pytest.mark.row


def test_the_page_is_fresh() -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.page(), (
        "stale: python -m tests.servers_page"
    )


def test_everything_works_with_every_server() -> None:
    """A cell with a "no" is a fault of rawchat: the page would show it."""
    assert "**no**" not in page.works_table({})


@row("11.9")
@pytest.mark.parametrize("server", SERVERS)
def test_300_turns_need_at_most_a_dozen_requests_on_each_server(server: str) -> None:
    found = re.fullmatch(r"(\d+) requests|", columns.recovery(server))
    assert found is not None
    assert int(found[1] or 0) <= 12


@row("11.9")
@pytest.mark.parametrize("wording", OVERFLOW_WORDINGS, ids=lambda wording: wording.words)
def test_300_turns_need_at_most_a_dozen_requests_with_each_wording(wording: Wording) -> None:
    body = {"error": {"message": wording.words.replace("…", "8192").capitalize()}}
    refusal = Recording(400, {"Content-Type": "application/json"}, json.dumps(body).encode())
    assert columns.requests_to_recover(refusal) <= 12


ODD = completion("Something else", choices=[])
ODD_ANSWERS = [
    Recording(200, {"Content-Type": "application/json"}, json.dumps(ODD).encode()),
    Recording(400, {"Content-Type": "application/json"}, b'{"error": "other words"}'),
]


@pytest.mark.parametrize("answer", ODD_ANSWERS)
@pytest.mark.parametrize("column", COLUMNS)
def test_each_column_can_fail(
    column: str, answer: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that answers something else than it should is seen in every column."""
    monkeypatch.setattr(columns, "read_recording", lambda name: answer)
    assert cell(COLUMNS[column], "vllm").startswith("**no**")


@pytest.mark.parametrize("server", SERVERS)
def test_the_settings_of_each_server_are_accepted_and_its_path_is_kept(server: str) -> None:
    setting = SETTINGS[server]
    sent: list[Request] = []

    def answer(request: Request) -> Response:
        sent.append(request)
        return Response(200, {}, [json.dumps(completion()).encode()])

    settings: dict[str, Any] = {"base_url": setting.base_url, "default_headers": setting.headers}
    client = rawchat.Client(api_key="sk-0", transport=answer, environ={}, **settings)
    assert client.chat("Hi").text == "Hello"
    assert sent[0].url == f"{setting.base_url}/chat/completions"
    assert sent[0].headers["Authorization"] == "Bearer sk-0"
    assert setting.headers.items() <= dict(sent[0].headers).items()


def test_the_client_for_the_older_paths_of_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    (program,) = re.findall(
        r"^```python\n(.*?)^```", page.PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "made-up-0123456789")
    names: dict[str, Any] = {}
    exec(program, names)
    request = rawchat.endpoints.chat(names["client"].config, "Hi", {})
    assert request.url == (
        "https://NAME.openai.azure.com/openai/deployments/DEPLOYMENT/chat/completions"
        "?api-version=2024-10-21"
    )
    assert request.headers["api-key"] == "made-up-0123456789"
    assert "Authorization" not in request.headers
    assert not names["client"].config.keys()


def test_every_server_has_its_settings_and_every_real_one_its_results() -> None:
    assert set(SETTINGS) == set(SERVERS)
    for result in json.loads(RESULTS.read_text(encoding="utf-8")).values():
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", result["date"])
        assert result["results"]
