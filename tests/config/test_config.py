"""Where the settings come from, and which are refused."""

import inspect
import json
import math
import pathlib
import re
from typing import Any, Optional

import pytest

import rawchat
from rawchat import config
from rawchat.config import Config, load_config, misnamed
from rawchat.config.checks import SETTING_TYPES
from rawchat.errors import ConfigError, MissingKeyError
from rawchat.wire import Headers, Request, Response, Transport

from ..command import Run
from ..server import answer, completion, serving

row = pytest.mark.row
LOCAL = "http://127.0.0.1:1/v1"


def made(environ: Optional[dict[str, str]] = None, dotenv: str = "", **given: Any) -> Config:
    """The Config for some arguments, an environment, and a .env in the working directory."""
    if dotenv:
        pathlib.Path(".env").write_text(dotenv, encoding="utf-8")
    return load_config(given, environ or {})


def recording_transport() -> tuple[list[Request], Transport]:
    """Return a transport that answers every request, and the list in which it keeps them."""
    sent: list[Request] = []

    def transport(request: Request) -> Response:
        sent.append(request)
        body = b'{"choices": [{"message": {"content": "Hi"}}]}'
        return Response(200, {"content-type": "application/json"}, [body])

    return sent, transport


@row("1.5", "10.7")
def test_arguments_before_environment_before_dotenv_before_defaults() -> None:
    dotenv = "OPENAI_API_KEY=sk-dotenv\nOPENAI_MODEL=m-dotenv\nOPENAI_ORG_ID=o-dotenv\n"
    environ = {"OPENAI_API_KEY": "sk-environ", "OPENAI_MODEL": "m-environ"}
    settings = made(environ, dotenv, api_key="sk-argument")
    assert settings.keys() == ("sk-argument",)
    assert settings.model == "m-environ"
    assert settings.headers[0] == {"OpenAI-Organization": "o-dotenv", "OpenAI-Project": None}
    assert settings.base_url == config.DEFAULT_BASE_URL
    assert (settings.timeout, settings.max_retries, settings.max_bytes) == ((5, 600), 2, 64 * 2**20)


@row("1.5")
def test_every_variable_is_known() -> None:
    settings = made(
        {
            "OPENAI_API_KEY": "sk-1",
            "OPENAI_BASE_URL": "https://h/v1/",
            "OPENAI_ORG_ID": "o",
            "OPENAI_PROJECT_ID": "p",
            "MODEL_NAME": "m",
            "OPENAI_CUSTOM_HEADERS": "X-A: 1\n\nX-B:two: three",
        }
    )
    assert (settings.base_url, settings.model) == ("https://h/v1", "m")
    assert settings.headers[:2] == (
        {"OpenAI-Organization": "o", "OpenAI-Project": "p"},
        {"X-A": "1", "X-B": "two: three"},
    )
    assert made({"OPENAI_API_KEY": "sk-1", "MODEL_NAME": "m", "OPENAI_MODEL": "n"}).model == "n"
    with pytest.raises(ConfigError, match="Name: value"):
        made({"OPENAI_API_KEY": "sk-1", "OPENAI_CUSTOM_HEADERS": "nonsense"})


@row("10.8")
def test_several_keys_are_separated_by_commas() -> None:
    assert made({"OPENAI_API_KEYS": " sk-1, sk-2 ,,sk-3,"}).keys() == ("sk-1", "sk-2", "sk-3")
    assert made(api_key=["sk-1", " sk-2 "]).keys() == ("sk-1", "sk-2")


@row("1.11", "10.7")
def test_no_key_is_an_error_at_openai_only() -> None:
    for given in ({}, {"api_key": ""}, {"api_key": []}, {"base_url": "https://api.openai.com/v1/"}):
        with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
            made(**given)
    assert made(base_url=LOCAL).keys() == ()
    assert made({"OPENAI_API_KEY": "sk-1"}, base_url=LOCAL, api_key="").keys() == ()
    assert made({"OPENAI_API_KEY": ""}, "OPENAI_API_KEY=sk-2").keys() == ("sk-2",)


@row("1.11")
def test_a_function_is_asked_each_time() -> None:
    keys = iter(["sk-1", " sk-2 ", "sk\n3", 4])
    settings = made(api_key=lambda: next(keys))
    assert (settings.keys(), settings.keys()) == (("sk-1",), ("sk-2",))
    with pytest.raises(ConfigError, match=r"api_key\(\) returned has U\+000A at position 3 of 4"):
        settings.keys()
    with pytest.raises(ConfigError, match="must be a string, got int"):
        settings.keys()


@row("1.8", "8.5")
@pytest.mark.parametrize(
    ("key", "say"),
    [
        ("sk-secret\nkey", r"U\+000A at position 10 of 13"),
        ("sk-secretü", r"U\+00FC at position 10 of 10"),
        ("sk secret", r"U\+0020 at position 3 of 9"),
        ("sk-secret\u200b", r"U\+200B at position 10"),
        ("sk-secret\x00x", r"U\+0000 at position 10"),
        (b"sk-secret", "must be a string, got bytes"),
        (7, "not iterable"),
    ],
)
def test_a_key_that_no_header_can_carry_is_refused_by_its_position(key: Any, say: str) -> None:
    with pytest.raises((ConfigError, TypeError), match=say) as caught:
        made(api_key=key)
    assert "secret" not in str(caught.value)


@row("1.8")
def test_blanks_around_a_key_are_trimmed_and_its_repr_hides_it() -> None:
    settings = made({"OPENAI_API_KEY": " sk-secret\r\n"})
    assert settings.keys() == ("sk-secret",)
    assert "secret" not in repr(settings) + repr(settings.keys())


@row("1.10")
@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com/v1",
        "ftp://h/v1",
        "http://",
        "http:///v1",
        "https://h:port/v1",
        "https://h v/1",
        "https://h/\nv1",
        "https://[::1/v1",
        "file:///etc/passwd",
        7,
    ],
)
def test_what_is_no_url_is_refused(url: Any) -> None:
    with pytest.raises(ConfigError, match="not an http"):
        made(api_key="sk-1", base_url=url)


@row("1.10")
def test_credentials_and_fragments_in_a_url_are_refused() -> None:
    with pytest.raises(ConfigError, match="user:password") as caught:
        made(base_url="https://user:hunter2@h/v1")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="fragment"):
        made(base_url="https://h/v1#x")


@row("1.10", "4.5")
@pytest.mark.parametrize(
    "url", ["http://user:hunter2@host:port/v1", "sk-abcdefgh12345678", "https://h v/hunter2 x"]
)
def test_what_is_no_url_is_not_repeated_where_it_may_be_a_secret(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(api_key="sk-1", base_url=url)
    assert "hunter2" not in str(caught.value)
    assert "sk-abc" not in str(caught.value)


@row("1.12")
def test_a_header_can_be_a_key_too() -> None:
    with pytest.raises(ConfigError, match="allow_http"):
        made(base_url="http://example.test/v1", default_headers={"api-key": "secret"})
    assert made(base_url="http://example.test/v1", default_headers={"X-Title": "x"})
    assert "secret" not in repr(made(base_url="https://h/v1?key=secret"))


# Credentials beside the key, as arguments of a client.
CREDENTIALS: list[dict[str, Any]] = [
    {"default_query": {"api-key": "hunter2"}},
    {"default_query": {"q": ["a", "Bearer hunter2"]}},
    {"default_headers": {"X-Session": "hunter2"}},
    {"default_headers": {"X-Foo": "Bearer hunter2"}},
    {"base_url": "http://example.test/v1?api-key=hunter2"},
    {"base_url": "http://example.test/v1?x=Bearer+hunter2&x=1"},
    {"environ": {"OPENAI_CUSTOM_HEADERS": "Cookie: hunter2"}},
]


@row("1.12")
@pytest.mark.parametrize("given", CREDENTIALS)
def test_no_credential_of_any_kind_goes_over_http_to_another(given: dict[str, Any]) -> None:
    given = {"base_url": "http://example.test/v1", "environ": {}, **given}
    with pytest.raises(ConfigError, match=r"unencrypted.*allow_http=True") as caught:
        rawchat.Client(**given)
    assert "hunter2" not in str(caught.value)
    assert rawchat.Client(allow_http=True, **given)
    for host in ("http://127.0.0.1:1", "https://example.test"):
        moved = given["base_url"].replace("http://example.test", host)
        assert rawchat.Client(**{**given, "base_url": moved})


@row("1.12")
@pytest.mark.parametrize(
    "given",
    [
        {"extra_headers": {"Authorization": "Bearer hunter2"}},
        {"extra_headers": {"X-Api-Key": "hunter2"}},
        {"extra_headers": {"X-Foo": "sk-hunter2"}},
        {"extra_query": {"api-key": "hunter2"}},
    ],
)
def test_no_credential_of_a_call_goes_over_http_to_another(given: dict[str, Any]) -> None:
    sent, transport = recording_transport()
    url = "http://example.test/v1"
    client = rawchat.Client(base_url=url, transport=transport, environ={})
    with pytest.raises(ConfigError, match=r"unencrypted.*allow_http=True") as caught:
        client.chat("Hi", **given)
    assert "hunter2" not in str(caught.value)
    headers = Headers(given.get("extra_headers", {}))
    if headers:
        with pytest.raises(ConfigError, match="unencrypted"):
            client.send(Request("GET", f"{url}/models", headers))
    assert not sent
    client.chat("Hi", extra_headers={"X-Title": "x"}, extra_query={"v": 1})
    allowed = rawchat.Client(base_url=url, transport=transport, environ={}, allow_http=True)
    allowed.chat("Hi", **given)
    assert len(sent) == 2


@row("1.1", "1.2")
def test_trailing_slashes_are_folded_and_a_query_stays() -> None:
    assert made(base_url="https://h/proxy/v1///").base_url == "https://h/proxy/v1"
    assert made(base_url="https://h/v1/?api-version=x").base_url == "https://h/v1?api-version=x"


@row("1.12")
@pytest.mark.parametrize("host", ["localhost", "api.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_a_key_may_go_over_http_within_this_machine(host: str) -> None:
    assert made(api_key="sk-1", base_url=f"http://{host}:8080/v1").keys() == ("sk-1",)


@row("1.12")
@pytest.mark.parametrize(
    "host",
    ["h", "192.168.1.2", "localhost.evil.com", "127.0.0.1.evil.com", "notlocalhost", "0.0.0.0"],
)
def test_a_key_must_not_go_over_http_to_another(host: str) -> None:
    for key in ("sk-1", lambda: "sk-1"):
        with pytest.raises(ConfigError, match="allow_http=True"):
            made(api_key=key, base_url=f"http://{host}/v1")
    assert made(api_key="sk-1", base_url=f"http://{host}/v1", allow_http=True).keys() == ("sk-1",)
    assert made(base_url=f"http://{host}/v1").keys() == ()


@row("1.13", "10.7")
def test_a_dotenv_never_sends_an_inherited_key_elsewhere() -> None:
    evil = "OPENAI_BASE_URL=https://evil/v1\n"
    for environ, given in (
        ({"OPENAI_API_KEY": "sk-1"}, {}),
        ({"OPENAI_API_KEYS": "sk-1,sk-2"}, {}),
        ({}, {"api_key": "sk-1"}),
        ({}, {"api_key": lambda: "sk-1"}),
        ({"OPENAI_CUSTOM_HEADERS": "api-key: sk-1"}, {}),
    ):
        with pytest.raises(
            ConfigError,
            match=r"base_url comes from \.env, the key from the (environment|arguments)",
        ):
            made(environ, evil, **given)
    with pytest.raises(ConfigError, match="base_url comes from"):
        made({"OPENAI_API_KEY": "sk-1"}, evil + "OPENAI_API_KEY=sk-2")
    assert made({}, evil + "OPENAI_API_KEY=sk-2").keys() == ("sk-2",)
    assert made({}, evil).base_url == "https://evil/v1"
    assert (
        made({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "https://good/v1"}, evil).base_url
        == "https://good/v1"
    )


@row("1.13")
def test_a_dotenv_that_cannot_be_read_is_one_clear_line() -> None:
    pathlib.Path(".env").write_bytes(b"OPENAI_MODEL=\xff\xfe")
    with pytest.raises(ConfigError, match=r"\.env, line 1: not UTF-8 text"):
        made(api_key="sk-1")
    pathlib.Path(".env").write_bytes(b"OPENAI_API_KEY='sk-secret")
    with pytest.raises(ConfigError, match=r"\.env, line 1") as caught:
        made()
    assert "secret" not in str(caught.value)


@row("1.13")
def test_a_directory_of_that_name_is_no_dotenv() -> None:
    pathlib.Path(".env").mkdir()
    assert made(api_key="sk-1").keys() == ("sk-1",)


@row("2.1")
@pytest.mark.parametrize(
    ("given", "pair"),
    [(None, (5, 600)), (30, (30, 30)), (0.5, (0.5, 0.5)), ((1, 2), (1, 2)), ([1, 2], (1, 2))],
)
def test_timeouts(given: Any, pair: tuple[float, float]) -> None:
    assert made(api_key="sk-1", timeout=given).timeout == pair


@row("10.9")
@pytest.mark.parametrize(
    "given",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": math.inf},
        {"timeout": math.nan},
        {"timeout": "5"},
        {"timeout": (1, 2, 3)},
        {"timeout": True},
        {"deadline": 0},
        {"deadline": "x"},
        {"max_retries": -1},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"max_retries": "2"},
        {"max_bytes": -1},
    ],
)
def test_a_number_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(given))):
        made(api_key="sk-1", **given)


@row("1.5", "8.7")
def test_the_networks_settings_are_taken_along() -> None:
    environ = {
        "HTTPS_PROXY": "http://big",
        "https_proxy": "http://small",
        "NO_PROXY": "h",
        "PATH": "/bin",
        "ALL_PROXY": "",
    }
    assert made(environ, api_key="sk-1").network == {"https_proxy": "http://small", "no_proxy": "h"}


CREDENTIALS = (
    "Authorization",
    "authorization",
    "api-key",
    "X-Api-Key",
    "Cookie",
    "Proxy-Authorization",
    "X-Auth-Token",
    "x-goog-api-key",
    "Ocp-Apim-Subscription-Key",
    "X-Amz-Security-Token",
    "X-Auth-User",
    "X-Session-Id",
)


@row("1.13", "10.7")
@pytest.mark.parametrize("name", CREDENTIALS)
def test_a_dotenv_never_receives_a_credential_from_a_header(name: str) -> None:
    evil = "OPENAI_BASE_URL=http://127.0.0.1:1/v1\n"
    for dotenv in (evil, evil + "OPENAI_API_KEY=sk-2\n", evil + "OPENAI_API_KEYS=sk-2,sk-3\n"):
        with pytest.raises(
            ConfigError, match=r"base_url comes from \.env, the key from the arguments"
        ) as caught:
            made({}, dotenv, default_headers={name: "hunter2"})
        assert "hunter2" not in str(caught.value)
    assert made({}, evil, default_headers={name: None}).from_dotenv
    assert not made({}, evil, base_url=LOCAL, default_headers={name: "hunter2"}).from_dotenv
    assert not made({"OPENAI_BASE_URL": LOCAL}, evil, default_headers={name: "hunter2"}).from_dotenv


@row("1.13")
def test_a_dotenv_never_receives_a_credential_by_its_value_or_in_a_query() -> None:
    evil = "OPENAI_BASE_URL=http://127.0.0.1:1/v1\n"
    for given in (
        {"default_headers": {"X-Upstream": "Bearer hunter2"}},
        {"default_headers": {"X-Upstream": "sk-1"}},
        {"default_query": {"key": "hunter2"}},
        {"default_query": {"sig": "hunter2"}},
        {"default_query": {"access_token": "hunter2"}},
    ):
        with pytest.raises(ConfigError, match=r"base_url comes from \.env"):
            made({}, evil, **given)
    assert made(
        {},
        evil,
        default_headers={"X-Title": "x", "Idempotency-Key": "1"},
        default_query={"api-version": "1"},
    )
    assert made({"OPENAI_CUSTOM_HEADERS": ""}, evil)


@row("1.13")
def test_a_call_never_sends_a_credential_to_the_server_of_a_dotenv() -> None:
    sent, transport = recording_transport()
    pathlib.Path(".env").write_text("OPENAI_BASE_URL=http://127.0.0.1:1/v1\n", encoding="utf-8")
    client = rawchat.Client(transport=transport, environ={})
    for name in CREDENTIALS:
        with pytest.raises(ConfigError, match=r"base_url comes from \.env"):
            client.chat("Hi", extra_headers={name: "hunter2"})
        with pytest.raises(ConfigError, match=r"base_url comes from \.env"):
            client.send(Request("GET", "http://127.0.0.1:1/v1/models", Headers({name: "hunter2"})))
    with pytest.raises(ConfigError, match=r"base_url comes from \.env"):
        client.models(extra_query={"api_key": "hunter2"})
    assert not sent
    client.chat("Hi", extra_headers={"X-Title": "x"}, extra_query={"api-version": "1"})
    assert sent[0].headers["x-title"] == "x"


@row("1.13")
@pytest.mark.parametrize("variable", [False, True])
def test_the_command_line_never_sends_a_header_to_the_server_of_a_dotenv(
    variable: bool, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(answer(completion())) as server:
        pathlib.Path(".env").write_text(f"OPENAI_BASE_URL={server.url}\n", encoding="utf-8")
        if variable:
            monkeypatch.setenv("RAWCHAT_HEADER", "Authorization: Bearer hunter2")
        ran = run(*([] if variable else ["-H", "Authorization: Bearer hunter2"]), "Hi")
        assert not server.requests
    assert ran.code != 0
    assert "base_url comes from .env" in ran.err
    assert "hunter2" not in ran.err


# ---- a setting that is misspelt

BODY = [
    "messages",
    "model",
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "best_of",
    "echo",
    "suffix",
    "prompt",
    "top_k",
    "min_p",
    "top_a",
    "typical_p",
    "typ_p",
    "repetition_penalty",
    "repeat_penalty",
    "repeat_last_n",
    "length_penalty",
    "min_tokens",
    "ignore_eos",
    "stop_token_ids",
    "bad_words",
    "use_beam_search",
    "early_stopping",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "include_stop_str_in_output",
    "prompt_logprobs",
    "truncate_prompt_tokens",
    "allowed_token_ids",
    "logits_processors",
    "guided_json",
    "guided_regex",
    "guided_choice",
    "guided_grammar",
    "guided_decoding_backend",
    "guided_whitespace_pattern",
    "structured_outputs",
    "chat_template",
    "chat_template_kwargs",
    "add_generation_prompt",
    "continue_final_message",
    "add_special_tokens",
    "documents",
    "priority",
    "request_id",
    "return_tokens_as_token_ids",
    "return_token_ids",
    "cache_salt",
    "kv_transfer_params",
    "vllm_xargs",
    "mm_processor_kwargs",
    "lora_path",
    "custom_logit_processor",
    "session_params",
    "return_hidden_states",
    "separate_reasoning",
    "stream_reasoning",
    "keep_alive",
    "num_ctx",
    "num_predict",
    "num_keep",
    "num_gpu",
    "num_batch",
    "num_thread",
    "options",
    "format",
    "template",
    "raw",
    "think",
    "images",
    "system",
    "context",
    "main_gpu",
    "low_vram",
    "use_mmap",
    "use_mlock",
    "penalize_newline",
    "mirostat",
    "mirostat_tau",
    "mirostat_eta",
    "tfs_z",
    "dynatemp_range",
    "dynatemp_exponent",
    "xtc_probability",
    "xtc_threshold",
    "dry_multiplier",
    "dry_base",
    "dry_allowed_length",
    "dry_penalty_last_n",
    "dry_sequence_breakers",
    "grammar",
    "json_schema",
    "samplers",
    "cache_prompt",
    "id_slot",
    "n_probs",
    "n_predict",
    "n_keep",
    "t_max_predict_ms",
    "timings_per_token",
    "post_sampling_probs",
    "lora",
    "reasoning_format",
    "thinking_forced_open",
    "reasoning_budget",
    "models",
    "route",
    "transforms",
    "provider",
    "plugins",
    "reasoning",
    "include_reasoning",
    "usage",
    "preset",
    "session_id",
    "trace",
    "random_seed",
    "safe_prompt",
    "prompt_mode",
    "mode",
    "search_mode",
    "search_domain_filter",
    "search_recency_filter",
    "return_images",
    "return_related_questions",
    "search_after_date_filter",
    "search_before_date_filter",
    "reasoning_content",
    "safety_settings",
    "cached_content",
    "extra_content",
    "thinking",
    "thinking_budget",
    "enable_thinking",
    "enable_search",
    "search_options",
    "vl_high_resolution_images",
    "translation_options",
    "result_format",
    "incremental_output",
    "search_parameters",
    "deferred",
    "citation_options",
    "compound_custom",
    "disable_tool_validation",
    "exclude_domains",
    "include_domains",
    "context_length_exceeded_behavior",
    "prompt_truncate_len",
    "perf_metrics_in_response",
    "raw_output",
    "safety_model",
    "data_sources",
    "enhancements",
    "project_id",
    "space_id",
    "model_id",
    "time_limit",
    "decoding_method",
    "input",
    "voice",
    "speed",
    "size",
    "quality",
    "style",
    "background",
    "output_format",
    "output_compression",
    "customer_identifier",
    "client_id",
    "end_user",
    "extra",
    "num_retries_after",
    "do_sample",
    "num_beams",
    "max_new_tokens",
    "details",
    "watermark",
]


@row("1.5", "3.4", "13.3")
@pytest.mark.parametrize("name", [name for name in BODY if name != "model"])
def test_a_real_parameter_of_a_body_is_never_refused(name: str) -> None:
    for value in (1, "x", [1], {"a": 1}, None):
        assert rawchat.Client(base_url=LOCAL, environ={}, **{name: value}).config.params == {
            name: value
        }


@row("1.5", "13.3")
@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("apikey", "api_key"),
        ("apiKey", "api_key"),
        ("API_KEY", "api_key"),
        ("api_keys", "api_key"),
        ("ap_key", "api_key"),
        ("key", "api_key"),
        ("token", "api_key"),
        ("openai_api_key", "api_key"),
        ("base_ulr", "base_url"),
        ("baseurl", "base_url"),
        ("baseURL", "base_url"),
        ("url", "base_url"),
        ("api_base", "base_url"),
        ("base_urls", "base_url"),
        ("retries", "max_retries"),
        ("maxretries", "max_retries"),
        ("max_retry", "max_retries"),
        ("timeouts", "timeout"),
        ("time_out", "timeout"),
        ("request_timeout", "timeout"),
        ("dead_line", "deadline"),
        ("organisation", "organization"),
        ("projects", "project"),
        ("headers", "default_headers"),
        ("default_header", "default_headers"),
        ("default_querry", "default_query"),
        ("allowHttp", "allow_http"),
        ("max_byte", "max_bytes"),
        ("transports", "transport"),
        ("http_client", "transport"),
        ("on_replies", "on_reply"),
        ("rotate_afer", "rotate_after"),
        ("modle", "model"),
        ("access_token", "api_key"),
        ("secret", "api_key"),
        ("azure_api_key", "api_key"),
        ("OPENROUTER_API_KEYS", "api_key"),
        ("client_secret", "api_key"),
        ("azure_base_url", "base_url"),
        ("api_secret", "api_key"),
        ("auth", "api_key"),
        ("authorization", "api_key"),
        ("password", "api_key"),
        ("bearer", "api_key"),
        ("bearer_token", "api_key"),
        ("access_key", "api_key"),
        ("credential", "api_key"),
        ("credentials", "api_key"),
        ("server", "base_url"),
        ("uri", "base_url"),
        ("endpoint_url", "base_url"),
        ("azure_endpoint", "base_url"),
        ("hostname", "base_url"),
        ("proxies", "proxy"),
        ("http_proxy", "proxy"),
        ("verify", "ca_bundle"),
        ("verify_ssl", "ca_bundle"),
        ("num_retries", "max_retries"),
        ("retry_count", "max_retries"),
        ("read_timeout", "timeout"),
        ("org_id", "organization"),
        ("session", "transport"),
        ("extra_headers", "default_headers"),
        ("extra_query", "default_query"),
    ],
)
def test_a_setting_that_is_misspelt_is_refused_and_the_right_one_is_named(
    name: str, meant: str
) -> None:
    with pytest.raises(
        TypeError, match=f"{name}= is not a setting.*did you mean .*{meant}="
    ) as caught:
        rawchat.Client(base_url=LOCAL, environ={}, **{name: "sk-hunter2"})
    assert "hunter2" not in str(caught.value)


@row("1.5")
def test_extra_body_is_not_a_body_parameter_of_every_call() -> None:
    with pytest.raises(TypeError, match=r"extra_body= is not a setting.*pass its entries"):
        rawchat.Client(base_url=LOCAL, environ={}, extra_body={"top_k": 1})


@row("1.5", "13.3")
@pytest.mark.parametrize(
    ("value", "meant"),
    [
        ("sk-hunter2", "api_key"),
        ("Bearer hunter2", "api_key"),
        (" sk-proj-hunter2", "api_key"),
        ("https://hunter2.test/v1", "base_url"),
        ("HTTP://hunter2.test", "base_url"),
    ],
)
def test_a_key_or_a_url_under_a_name_nobody_knows_is_refused(value: str, meant: str) -> None:
    with pytest.raises(TypeError, match=f"zzz=.*did you mean {meant}=") as caught:
        rawchat.Client(base_url=LOCAL, environ={}, zzz=value)
    assert "hunter2" not in str(caught.value)
    assert rawchat.Client(base_url=LOCAL, environ={}, zzz="anything else").config.params == {
        "zzz": "anything else"
    }


@row("1.5")
@pytest.mark.parametrize(
    ("name", "value"),
    [("hf_token", "hf_" + 20 * "a"), ("azure_ad_token", "eyJ0eXAiOiJKV1Qi.e30.x")],
)
def test_a_token_is_refused_by_its_value(name: str, value: str) -> None:
    with pytest.raises(TypeError, match=f"{name}=.*did you mean api_key="):
        rawchat.Client(base_url=LOCAL, environ={}, **{name: value})
    for harmless in ("</s>", "<|endoftext|>", True, 2):
        rawchat.Client(base_url=LOCAL, environ={}, **{name: harmless})


@row("1.5")
@pytest.mark.parametrize(
    "name",
    [
        *("api_key", "apikey", "openai_api_key", "azure_api_key", "access_token", "authorization"),
        *("client_secret", "base_url", "baseURL", "openai_base_url"),
    ],
)
def test_no_call_sends_a_key_or_a_base_url_as_a_parameter(name: str) -> None:
    sent, transport = recording_transport()
    client = rawchat.Client(base_url=LOCAL, transport=transport, environ={})
    for call in (client.chat, client.complete, client.moderate, client.image, client.post):
        with pytest.raises(TypeError, match=f"{name}= is a setting of the client") as caught:
            call("/any", **{name: "sk-hunter2"})
        assert "hunter2" not in str(caught.value)
    assert not sent
    # some gateways want it
    client.chat("Hi", extra_body={name: "sk-hunter2"})
    client.post("/any", {}, extra_body={name: "sk-hunter2"})
    assert [json.loads(request.excerpt)[name] for request in sent] == ["sk-hunter2"] * 2


@row("1.5")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("api_kye", "a setting of the client (api_key=), not of a call"),
        ("base_ulr", "a setting of the client (base_url=), not of a call"),
        ("deadline", "a setting of the client (deadline=), not of a call"),
        ("retries", "a setting of the client (max_retries=), not of a call"),
        ("key", "a setting of the client (api_key=), not of a call"),
        ("time_out", "not a parameter of a call; did you mean timeout=?"),
        ("request_timeout", "not a parameter of a call; did you mean timeout=?"),
        ("modle", "not a parameter of a call; did you mean model=?"),
        ("headers", "not a parameter of a call; did you mean extra_headers=?"),
        ("extra_header", "not a parameter of a call; did you mean extra_headers=?"),
        ("default_query", "not a parameter of a call; did you mean extra_query=?"),
    ],
)
def test_a_call_refuses_what_the_client_refuses(name: str, said: str) -> None:
    sent, transport = recording_transport()
    client = rawchat.Client(base_url=LOCAL, transport=transport, environ={})
    with pytest.raises(TypeError, match=re.escape(f"{name}= is {said}")):
        client.chat("Hi", **{name: 5})
    assert not sent
    client.chat("Hi", extra_body={name: 5})
    assert json.loads(sent[0].excerpt)[name] == 5


@row("1.5")
def test_a_call_takes_every_real_parameter_of_a_body() -> None:
    sent, transport = recording_transport()
    client = rawchat.Client(base_url=LOCAL, transport=transport, environ={})
    names = [name for name in BODY if name not in ("messages", "model", "stream")]
    client.chat("Hi", **dict.fromkeys(names, "x"))
    body = json.loads(sent[0].excerpt)
    assert [name for name in names if body[name] != "x"] == []


@row("1.5")
def test_a_call_to_any_path_takes_names_of_other_settings() -> None:
    sent, transport = recording_transport()
    client = rawchat.Client(base_url=LOCAL, transport=transport, environ={})
    client.get("/organization/costs", project_ids=["p"], api_key_ids=["k"])
    client.post("/any", {}, query="Q", url="https://h", key="k", token="t", max_retries=1)
    assert sent[0].url.endswith("costs?project_ids%5B%5D=p&api_key_ids%5B%5D=k")
    assert json.loads(sent[1].excerpt)["max_retries"] == 1


def test_every_setting_of_a_client_is_known() -> None:
    parameters = inspect.signature(rawchat.Client.__init__).parameters
    assert set(SETTING_TYPES) == set(parameters) - {"self", "params"}


def test_the_parameters_of_most_calls_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[str] = []
    monkeypatch.setattr(misnamed, "closest_setting", compared.append)
    misnamed.check_call_params({"temperature": 0, "max_tokens": 5, "seed": 1, "tools": []})
    assert compared == []
    misnamed.check_call_params({"top_k": 1})
    assert compared == ["top_k"]
