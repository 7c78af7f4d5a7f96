"""The command line against every server of tests/wire: what is printed, the exit code, the line on standard error."""

import pytest

from ..command import Ran, Run, line
from ..recordings import read_bytes, read_recording
from ..server import CLOSE, Answer, serving
from ..test_servers import SERVERS, Want

row = pytest.mark.row

#: By its status, with which exit code a refusal ends; from 500 on it is 5, other statuses 4.
CODES = {401: 3, 403: 3, 429: 6}

#: Errors under a status of 200: by the status that their code names (6), or by the stream that they broke (8).
CODES_OF_200 = {
    "baidu/error-stream": 8,
    "fastchat/error-stream": 8,
    "groq/error-stream": 8,
    "gemini/error-stream": 5,
    "openrouter/error-200": 6,
    "openrouter/error-choice": 5,
}


def expected_code(name: str, want: Want) -> int:
    """Return the exit code for a recording."""
    status = read_recording(name).status
    if want.error is None:
        return 0
    if want.partial:
        return 8
    if want.overflow:
        return 4
    if status >= 500:
        return 5
    if status >= 400:
        return CODES.get(status, 4)
    return CODES_OF_200.get(name, 5)


def check_answer(result: Ran, want: Want) -> None:
    """Check what is printed for an answer: its text, and a line if that is not the whole of it."""
    assert result.out.decode().rstrip("\n") == want.text.rstrip("\n")
    if want.calls and not want.text:
        assert line(result) == "the answer is tool calls, no text; --json shows them"
    elif want.finish == "content_filter":
        assert line(result) == "the answer was cut (content_filter)"
    elif want.finish not in ("stop", "tool_calls"):
        assert line(result) == f"the answer ended for an unusual reason: {want.finish}"
    else:
        assert result.err == ""


def check_error(result: Ran, want: Want, url: str) -> None:
    """Check the line of an error: the server's words, where it happened, and nothing of the JSON around them."""
    assert result.out.decode().rstrip("\n") == want.partial
    for words in want.says:
        assert words in line(result)
    assert f"(POST {url}/chat/completions" in line(result)
    if want.says:
        assert not line(result).partition(": ")[2].startswith("{")
    if want.partial:
        assert "the answer is incomplete" in line(result)
    if want.overflow:
        assert line(result).endswith("send fewer or shorter messages")


@row("11.7", "11.10", "13.5")
@pytest.mark.parametrize("server", SERVERS)
def test_every_recording_ends_with_the_right_code_and_line(run: Run, server: str) -> None:
    for kind, want in SERVERS[server].items():
        name = f"{server}/{kind}"
        recording = read_recording(name)
        ways = (False, True) if recording.status >= 400 else ("stream" in kind,)
        for streamed in ways:
            # Mistral refuses stream_options: the request that leaves them out may use the same connection.
            steps: Answer = [read_bytes(name), CLOSE]
            if "Content-Length" in recording.headers:
                steps = read_bytes(name)
            with serving(steps) as playing:
                way = [] if streamed else ["--no-stream"]
                result = run("--base-url", playing.url, "--retries", "0", *way, "Q")
            assert result.code == expected_code(name, want), (name, result.err)
            if want.error:
                check_error(result, want, playing.url)
            else:
                check_answer(result, want)
