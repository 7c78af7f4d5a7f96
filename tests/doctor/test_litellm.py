"""The probe on LiteLLM's proxy in front of the embedded llama.cpp.

LiteLLM has a Python of its own in build/servers/litellm, which `make networks` makes; without it the test skips.
"""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ..transport.programs import ROOT, free_port, running, temporary_folder
from .servers import KEY

LITELLM = ROOT / "build" / "servers" / "litellm" / "bin" / "litellm"
CONFIG = """model_list:
  - model_name: small
    litellm_params:
      model: openai/small
      api_base: {url}
      api_key: none
general_settings:
  master_key: {key}
"""
#: What a small model's words may leave undecided, and what it cannot do.
NOT_JUDGED = {
    "stop",
    "seed",
    "logprobs",
    "max_tokens",
    "json_mode",
    "json_schema",
    "overflow",
    "tools",
    "tools_stream",
    "tools_parallel",
    "tools_round_trip",
}


@pytest.fixture(scope="module")
def litellm_url(local_url: str) -> Iterator[str]:
    """The base_url of a LiteLLM proxy in front of the embedded model."""
    if not LITELLM.exists():
        pytest.skip("LiteLLM is not installed: make networks does so")
    with pytest.MonkeyPatch.context() as patch, temporary_folder() as folder:
        # Otherwise it fetches a table of prices.
        patch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        config = folder / "config.yaml"
        config.write_text(CONFIG.format(url=local_url, key=KEY))
        port = free_port()
        command = [LITELLM, "--config", config, "--host", "127.0.0.1", "--port", port]
        with running([*command, "--telemetry", "False"], port, folder):
            yield f"http://127.0.0.1:{port}/v1"


def test_litellm_in_front_of_the_embedded_model(diagnose: Any, litellm_url: str) -> None:
    words = ["--model", "small", "--probe", "--timeout", "600"]
    diagnosis = diagnose(litellm_url, *words, clock=time.monotonic)
    assert (diagnosis.code, diagnosis.found) == (0, [])
    statuses = {name: check["status"] for name, check in diagnosis.server.items()}
    judged = {
        name: status
        for name, status in statuses.items()
        if status != "ok" and name not in NOT_JUDGED
    }
    assert judged == {"gzip": "no"}, diagnosis.text
    found = {name for name in NOT_JUDGED if statuses[name] in ("no", "differs")}
    assert found <= {"tools"}, diagnosis.text


def test_litellm_refuses_a_wrong_key(diagnose: Any, litellm_url: str) -> None:
    diagnosis = diagnose(litellm_url, environ={"OPENAI_API_KEY": "sk-another-0123456789"})
    step = diagnosis.way["authentication"]
    assert (diagnosis.code, diagnosis.found, step["cause"]) == (
        3,
        ["authentication"],
        "key-unknown-to-litellm",
    )


def test_litellm_does_not_know_a_model(diagnose: Any, litellm_url: str) -> None:
    diagnosis = diagnose(litellm_url, "--model", "smaller")
    step = diagnosis.way["model"]
    assert (diagnosis.code, diagnosis.found, step["cause"]) == (4, ["model"], "no-such-model")
    assert "small" in step["remedy"]
