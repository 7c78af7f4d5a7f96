"""What rawchat makes of each server that claims OpenAI compatibility: to find a server, search for its name here.

`SERVERS` says, recording by recording, what a careful client has to make of the exchanges in wire/SERVER/KIND.http; the
comment above each server lists its peculiarities, and wire/README.md the sources. A KIND that contains "stream" is the
answer to a streamed call. Each recording is played over a real socket: whole, one byte at a time, and cut off.

    WIRE_CUTS=0 python -m pytest tests/test_servers.py        # cut at every byte (minutes); the default is a sample
"""

import json
import os
import pathlib
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import pytest

import rawchat
from rawchat.compat.wordings import OVERFLOW_WORDINGS

from .recordings import CHUNKED, WIRE, body_of, read_bytes
from .server import CLOSE, Answer, completion, serving
from .server import answer as plain_answer
from .server import streamed as streamed_answer

row = pytest.mark.row

CUTS = int(os.environ.get("WIRE_CUTS", "6"))  # cuts of each recording; 0: at every byte

HELLO = "Hello, wörld 👋"
R = "They greet me."  # the reasoning
Call = tuple[str, dict[str, Any]]
WEATHER: Call = ("get_weather", {"city": "Paris"})
TOKYO: Call = ("get_weather", {"city": "Tokyo"})
TIME: Call = ("get_time", {})


@dataclass(frozen=True)
class Want:
    """What a careful client makes of one recording: an answer, or an error."""

    text: str = ""
    finish: Optional[str] = None
    usage: tuple[int, int] = (0, 0)  # prompt, completion; zeros where the server does not say
    calls: Sequence[Call] = ()  # name and decoded arguments of each tool call
    fields: dict[str, Any] = field(
        default_factory=dict
    )  # fields of the message, reasoning above all
    kept: Sequence[str] = ()  # texts found somewhere in the message
    error: Optional[type[rawchat.APIError]] = None
    says: Sequence[str] = ()  # words in the message of the error
    code: Optional[str] = None
    type: Optional[str] = None
    overflow: Optional[bool] = False  # is it a context overflow?  None: either is right
    partial: str = ""  # the text that came before the error


def answer(
    usage: tuple[int, int] = (0, 0),
    text: str = HELLO,
    finish: str = "stop",
    kept: Sequence[str] = (),
    **fields: Any,
) -> Want:
    """Expect a text, and `fields` in the message beside it."""
    return Want(text=text, finish=finish, usage=usage, kept=kept, fields=fields)


def answers(usage: tuple[int, int], kept: Sequence[str] = (), **fields: Any) -> dict[str, Want]:
    """Expect the usual text, plain and streamed; if `fields` are given, once more with them."""
    wants = {"plain": answer(usage), "stream": answer(usage)}
    if fields:
        wants["reasoning"] = wants["reasoning-stream"] = answer(usage, kept=kept, **fields)
    return wants


def called(
    *calls: Call,
    usage: tuple[int, int] = (0, 0),
    text: str = "",
    finish: str = "tool_calls",
    kept: Sequence[str] = (),
) -> Want:
    """Expect tool calls."""
    return Want(text=text, finish=finish, usage=usage, calls=calls, kept=kept)


def calls(
    *calls: Call, usage: tuple[int, int], text: str = "", finish: str = "tool_calls"
) -> dict[str, Want]:
    """Expect tool calls, plain and streamed."""
    want = called(*calls, usage=usage, text=text, finish=finish)
    return {"tools": want, "tools-stream": want}


def error(
    kind: type[rawchat.APIError],
    *says: str,
    code: Optional[str] = None,
    type: Optional[str] = None,
    partial: str = "",
) -> Want:
    """Expect an error that says these words and is no context overflow."""
    return Want(error=kind, says=says, code=code, type=type, partial=partial)


def overflow(
    *says: str, code: Optional[str] = None, type: Optional[str] = None, partial: str = ""
) -> Want:
    """Expect the error for a prompt that is longer than the context."""
    return Want(
        error=rawchat.ContextLengthExceededError,
        says=says,
        code=code,
        type=type,
        overflow=True,
        partial=partial,
    )


def thought(format: str, text: str, **more: str) -> dict[str, Any]:
    """Return the one block of reasoning_details that fragments with the same index make."""
    ids = {"id": "reasoning-text-1"} if format.startswith("MiniMax") else {}
    return {"type": "reasoning.text", **ids, "text": text, **more, "format": format, "index": 0}


SERVERS: dict[str, dict[str, Want]] = {
    # vLLM: every field present, null or not; the first delta of a call has arguments null, or none; reasoning under
    # two names; errors with a numeric code, of older releases without an `error` object; an error in a stream is
    # followed by [DONE].
    "vllm": {
        **answers((11, 5), reasoning=R, reasoning_content=R),
        **calls(WEATHER, TIME, usage=(11, 5)),
        "error": error(rawchat.NotFoundError, "The model `nope` does not exist.", code="404"),
        "error-stream": error(
            rawchat.APIError, "EngineCore encountered an issue", code="500", partial="Hello"
        ),
        "overflow": overflow("maximum context length is 262144 tokens", code="400"),
        "overflow-old": overflow("maximum context length is 16384 tokens", code="400"),
    },
    # SGLang: nulls in every delta (role, id, name); an overflow of a streamed call is an error event under 200.
    "sglang": {
        **answers((12, 6), reasoning_content=R),
        **calls(WEATHER, usage=(12, 6)),
        "error": error(rawchat.NotFoundError, "The model 'nope' does not exist", code="404"),
        "overflow": overflow("is longer than the model's context length", code="400"),
        "overflow-stream": overflow("is longer than the model's context length", code="400"),
    },
    # TGI (text-generation-inference): no space after `data:`; arguments as an object; `tool_calls` of a delta an
    # object, not a list, with an empty id and name null; finish_reason stop after calls; errors are strings with an
    # error_type, under 422 or in a stream that ends without [DONE].
    "tgi": {
        **answers((9, 4)),
        **calls(WEATHER, usage=(9, 4), finish="stop"),
        "error": error(rawchat.RateLimitError, "Model is overloaded"),
        "error-stream": error(rawchat.APIError, "CUDA out of memory", partial="Hello"),
        "overflow": overflow("must be <= 32512"),
        "overflow-stream": overflow("must have less than 4095 tokens"),
    },
    # Ollama: role and content in every delta; thinking under `reasoning`; parallel calls in deltas of their own, all
    # with index 0; Go's JSON writes < > & as \u003c …; errors of its cloud are strings.
    "ollama": {
        **answers((15, 7), reasoning=R),
        **calls(WEATHER, TIME, usage=(15, 7)),
        "error": error(rawchat.NotFoundError, "try pulling it first"),
        "overflow": overflow("prompt too long; exceeded max context length by 540451 tokens"),
        "overflow-length": overflow("the input length exceeds the context length"),
    },
    # llama.cpp: content null in the first delta; an overflow is reported by its type, as a 500, or in a stream in an
    # SSE field that does not exist (`error:` instead of `data:`), after which the stream ends.
    "llama-cpp": {
        **answers((14, 6), reasoning_content=R),
        **calls(WEATHER, usage=(14, 6)),
        "error": error(rawchat.AuthenticationError, "Invalid API Key", code="401"),
        "overflow": overflow("exceeds the available context size", code="400"),
        "overflow-500": overflow("Context size has been exceeded.", code="500"),
        "overflow-stream": overflow("Context size has been exceeded.", partial="Hello"),
    },
    # llama-cpp-python: CRLF and ping comments; id and name in every delta of a call; the old function_call beside the
    # tool calls; no usage in a stream; content null of a message that was sent back is refused with 500, and so is
    # json_schema.
    "llama-cpp-python": {
        "plain": answer((23, 8)),
        "stream": answer(),
        "tools": called(WEATHER, usage=(23, 8)),
        "tools-stream": called(WEATHER),
        "error": error(rawchat.InternalServerError, "7 validation errors"),
        "error-json-schema": error(
            rawchat.InternalServerError, "Input should be 'text' or 'json_object'"
        ),
        "overflow": overflow(
            "maximum context length is 2048 tokens", code="context_length_exceeded"
        ),
        "overflow-500": overflow("Requested tokens (2285) exceed context window of 2048"),
    },
    # LM Studio: indented JSON; ids of digits; an empty name in later deltas; errors are strings; an unknown path is
    # one under 200; in a stream they are `event: error`, with the message twice.
    "lm-studio": {
        **answers((24, 9), reasoning_content=R),
        **calls(WEATHER, usage=(24, 9), text="\n\n"),
        "error": error(rawchat.APIError, "Unexpected endpoint or method."),
        "overflow": overflow("greater than the context length"),
        "overflow-stream": overflow("Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"),
        "overflow-stream-old": overflow("context length of only 7866 tokens"),
    },
    # DeepSeek: empty lines before a plain body and comments before a stream, while it waits; content null beside
    # reasoning_content; usage in the chunk with the finish_reason; 402 without credit; json_schema is refused.
    "deepseek": {
        **answers((16, 10), reasoning_content=R),
        **calls(WEATHER, usage=(16, 10)),
        "error": error(
            rawchat.APIStatusError, "Insufficient Balance", code="invalid_request_error"
        ),
        "error-max-tokens": error(
            rawchat.BadRequestError, "the valid range of max_tokens is [1, 8192]"
        ),
        "error-json-schema": error(
            rawchat.BadRequestError, "This response_format type is unavailable now"
        ),
        "overflow": overflow(
            "maximum context length is 131072 tokens", code="invalid_request_error"
        ),
    },
    # Gemini (OpenAI endpoint): calls without index, each whole in a delta of its own, with a signature that must be
    # sent back; before: several in one delta, all with index 0 and an empty id; finish_reason stop after calls;
    # thoughts are part of the content; errors are a list, a stream's too, under 200; the wait is given only in the
    # body (RetryInfo); a schema with additionalProperties is refused.
    "gemini": {
        "plain": answer((13, 6)),
        "stream": answer((13, 6)),
        "reasoning": answer(
            (13, 6), f"<thought>{R}</thought>{HELLO}", extra_content={"google": {"thought": True}}
        ),
        "reasoning-stream": answer((13, 6), f"<thought>{R}</thought>{HELLO}"),
        "tools": called(WEATHER, TIME, usage=(13, 6), kept=["EjQKMgEMOdbHJChL"]),
        "tools-stream": called(
            WEATHER, TIME, usage=(13, 6), finish="stop", kept=["EjQKMgEMOdbHJChL"]
        ),
        "tools-stream-old": called(WEATHER, TOKYO),
        "error": error(
            rawchat.BadRequestError,
            "400: API key not valid. Please pass a valid API key.",
            code="400",
        ),
        "error-429": error(
            rawchat.RateLimitError, "429: You exceeded your current quota", code="429"
        ),
        "error-schema": error(
            rawchat.BadRequestError, 'Unknown name "additionalProperties" at', code="400"
        ),
        "error-stream": error(
            rawchat.APIError, "The model is overloaded. Please try again later.", code="503"
        ),
        "overflow": overflow(
            "input token count (1196265) exceeds the maximum number of tokens", code="400"
        ),
        "overflow-2.5": overflow(
            "input token count exceeds the maximum number of tokens", code="400"
        ),
    },
    # Anthropic (OpenAI endpoint): text before the calls, whose indices are those of content blocks; errors in an
    # envelope with a type of its own; overloads as `event: error`.
    "anthropic": {
        "plain": answer((20, 12)),
        "stream": answer((20, 12)),
        "tools": called(WEATHER, TIME, usage=(20, 12), text="Let me look."),
        "tools-stream": called(WEATHER, TIME, text="Let me look."),
        "error": error(
            rawchat.AuthenticationError, "invalid x-api-key", type="authentication_error"
        ),
        "error-max-tokens": error(
            rawchat.BadRequestError, "the maximum allowed number of output tokens"
        ),
        "error-stream": error(
            rawchat.APIError, "Overloaded", type="overloaded_error", partial="Hello"
        ),
        "overflow": overflow("prompt is too long: 213462 tokens > 200000 maximum"),
        "overflow-output": overflow("input length and `max_tokens` exceed context limit"),
    },
    # Bedrock (access gateway): indices count from -1 when no text comes before the calls; thoughts as <think> in the
    # content; errors are FastAPI's `detail`, in a stream an object without type, and no [DONE]; "Too many tokens"
    # under 429 is a rate limit.
    "bedrock": {
        "plain": answer((18, 9)),
        "stream": answer((18, 9)),
        "reasoning": answer((18, 9), f"<think>{R}</think>{HELLO}"),
        "reasoning-stream": answer((18, 9), f"<think>{R}</think>{HELLO}"),
        **calls(WEATHER, TIME, usage=(18, 9)),
        "error": error(rawchat.AuthenticationError, "Invalid API Key"),
        "error-429": error(
            rawchat.RateLimitError, "Too many tokens, please wait before trying again."
        ),
        "overflow": overflow("Input is too long for requested model."),
        "overflow-stream": overflow("Input is too long for requested model."),
    },
    # Mistral: calls whole in one delta, without a type; padding (`p`) in every chunk; thoughts are parts of the
    # content, mixed with text in a stream; finish_reason error; errors without an `error` object, whose message may
    # be an object; stream_options is refused with 422.
    "mistral": {
        "plain": answer((10, 8)),
        "stream": answer((10, 8)),
        "reasoning": answer((10, 8), kept=[R]),
        "reasoning-stream": answer((10, 8), kept=["They greet", " me."]),
        "finish-stream": answer((10, 1), "Hello", finish="error"),
        **calls(WEATHER, usage=(10, 8)),
        "error": error(rawchat.AuthenticationError, "401: Unauthorized"),
        "error-422": error(
            rawchat.UnprocessableEntityError,
            "Extra inputs are not permitted",
            "stream_options",
            type="invalid_request_error",
        ),
        "overflow": overflow("too large for model with 131072 maximum context length", code="3051"),
    },
    # xAI: calls whole in one delta; total_tokens counts the reasoning, completion_tokens does not; `error` is a
    # string and `code` beside it a sentence.
    "xai": {
        **answers((12, 7), reasoning_content=R),
        **calls(WEATHER, TIME, usage=(12, 7)),
        "error": error(
            rawchat.BadRequestError,
            "Incorrect API key provided: na***ys.",
            code="Client specified an invalid argument",
        ),
        "overflow": overflow("maximum prompt length is 131072", code="invalid-argument"),
    },
    # Groq: usage of a stream in x_groq; `reasoning`; a failed call as `event: error`, with a status_code inside; a
    # 413 that is about tokens per minute.
    "groq": {
        **answers((38, 9), reasoning=R),
        **calls(WEATHER, usage=(38, 9)),
        "error-reasoning": error(rawchat.BadRequestError, "'reasoning_content' is unsupported"),
        "error": error(
            rawchat.BadRequestError, "Failed to call a function.", code="tool_use_failed"
        ),
        "error-max-tokens": error(
            rawchat.BadRequestError, "max_tokens must be less than or equal to 16384"
        ),
        "error-stream": error(
            rawchat.APIError, "Failed to call a function.", code="tool_use_failed", partial=""
        ),
        "error-413": Want(
            error=rawchat.APIStatusError,
            says=["Limit 10000, Requested 15088"],
            overflow=None,
            code="rate_limit_exceeded",
        ),
        "overflow": overflow(
            "Please reduce the length of the messages or completion.",
            code="context_length_exceeded",
        ),
    },
    # Fireworks: two entries of one delta continue one call; the first delta of a call has no arguments; usage in the
    # chunk with the finish_reason.
    "fireworks": {
        **answers((9, 6), reasoning_content=R),
        **calls(WEATHER, usage=(9, 6)),
        "error": error(
            rawchat.NotFoundError,
            "Model not found, inaccessible, and/or not deployed",
            code="NOT_FOUND",
        ),
        "overflow": overflow("The prompt is too long: 267657", code="invalid_request_error"),
    },
    # Together: `text` beside the delta of a chat, and a token_id in it; finish_reason eos; tool_calls null or [].
    "together": {
        "plain": answer((36, 8), finish="eos"),
        "stream": answer((36, 8), finish="eos"),
        "reasoning": answer((36, 8), reasoning=R),
        "reasoning-stream": answer((36, 8), reasoning=R),
        **calls(WEATHER, usage=(36, 8)),
        "error": error(
            rawchat.AuthenticationError, "Invalid API key provided.", code="invalid_api_key"
        ),
        "overflow": overflow("must be <= 4097"),
    },
    # Moonshot (Kimi): usage of a stream inside of the choice; ids like get_weather:0; the end of one call and the
    # start of the next in one delta; errors without a code.
    "moonshot": {
        **answers((19, 11), reasoning_content=R),
        **calls(WEATHER, TIME, usage=(19, 11)),
        "error": error(
            rawchat.PermissionDeniedError,
            "exceeded current quota",
            type="exceeded_current_quota_error",
        ),
        "overflow": overflow(
            "exceeded model token limit: 262144 (requested: 269030)", type="invalid_request_error"
        ),
    },
    # GLM (Zhipu, z.ai): neither object nor finish_reason in most chunks; chunks with choices null between others, or
    # nothing but those; finish reasons of its own (sensitive, network_error, model_context_window_exceeded).
    "glm": {
        **answers((14, 12), reasoning_content=R),
        **calls(WEATHER, usage=(14, 12)),
        "finish": answer((14, 12), "", finish="sensitive"),
        "finish-stream": answer((14, 12), "Hello", finish="network_error"),
        "finish-window-stream": answer((14, 12), "Hello", finish="model_context_window_exceeded"),
        "error": error(rawchat.AuthenticationError, "Authentication Failed", code="1000"),
        "error-stream": error(rawchat.APIResponseValidationError),
        "overflow": overflow("Prompt exceeds max length", code="1261"),
        "overflow-zai": overflow("tokens in request more than max tokens allowed"),
    },
    # MiniMax: an empty role, id, type and name in later deltas; the whole message once more at the end, and no
    # [DONE]; thoughts in reasoning_details by index, or as <think>; errors in base_resp under 200, which good answers
    # have too.
    "minimax": {
        "plain": answer((50, 14)),
        "stream": answer((50, 14)),
        "reasoning": answer(
            (50, 14), reasoning_content=R, reasoning_details=[thought("MiniMax-response-v1", R)]
        ),
        "reasoning-stream": answer(
            reasoning_content=R, reasoning_details=[thought("MiniMax-response-v1", R)]
        ),
        "reasoning-think-stream": answer(text=f"<think>\n{R}\n</think>\n\n{HELLO}"),
        **calls(WEATHER, usage=(50, 14)),
        "error": error(
            rawchat.APIError, "login fail: Please carry the API secret key", code="1004"
        ),
        "error-stream": error(
            rawchat.APIError, "unknown error, please retry later", code="1000", partial="Hello"
        ),
        "overflow": overflow("context window exceeds limit (2013)", type="bad_request_error"),
        "overflow-200": overflow("context window exceeds limit", code="2013"),
    },
    # DashScope (Qwen): a call goes on with an empty id and without a name, and ends with arguments null; content null
    # beside reasoning_content; an inspection that fails in mid-stream.
    "dashscope": {
        **answers((22, 13), reasoning_content=R),
        **calls(WEATHER, usage=(22, 13)),
        "error": error(
            rawchat.BadRequestError, "only support stream mode", code="invalid_parameter_error"
        ),
        "error-max-tokens": error(
            rawchat.BadRequestError, "Range of max_tokens should be [1, 8192]"
        ),
        "error-stream": error(
            rawchat.APIError,
            "Output data may contain inappropriate content.",
            partial="Hello",
            code="data_inspection_failed",
        ),
        "overflow": overflow(
            "Range of input length should be [1, 204800]", code="invalid_parameter_error"
        ),
    },
    # OpenRouter: comments between the events; reasoning_details by index, whose signature comes last; a chunk after
    # the finish_reason, with usage and an empty delta; errors under 200, in a choice, beside one, and the upstream's
    # own words in metadata.raw.
    "openrouter": {
        "plain": answer((17, 14)),
        "stream": answer((17, 14)),
        "reasoning": answer(
            (17, 14),
            reasoning=R,
            reasoning_details=[thought("anthropic-claude-v1", R, signature="EqQBmade==")],
        ),
        "reasoning-stream": answer(
            (17, 14),
            reasoning=R,
            reasoning_details=[thought("anthropic-claude-v1", R, signature="EqQBmade==")],
        ),
        **calls(WEATHER, usage=(17, 14)),
        "error": error(rawchat.RateLimitError, "is temporarily rate-limited upstream", code="429"),
        "error-200": error(
            rawchat.APIError, "Rate limit exceeded: free-models-per-day", code="429"
        ),
        "error-choice": error(rawchat.APIError, "Provider disconnected", code="502"),
        "error-stream": error(
            rawchat.APIError, "Rate limited upstream", code="429", partial="Hello"
        ),
        "overflow": overflow("maximum context length is 262144 tokens", code="400"),
        "overflow-raw": overflow("Prompt is too long"),
    },
    # Copilot: first a chunk without choices; content null in deltas; reasoning_text, and reasoning_opaque, which must
    # be sent back; plain text for an expired token; an overflow with a code, before with empty fields.
    "copilot": {
        "plain": answer((26, 15)),
        "stream": answer((26, 15)),
        "reasoning": answer((26, 15), reasoning_text=R, reasoning_opaque="kJ8madeup=="),
        "reasoning-stream": answer((26, 15), reasoning_text=R, reasoning_opaque="kJ8madeup=="),
        **calls(WEATHER, usage=(26, 15)),
        "error": error(rawchat.AuthenticationError, "unauthorized: token expired"),
        "overflow": overflow("exceeds the limit of 64000", code="model_max_prompt_tokens_exceeded"),
        "overflow-old": overflow("exceeds the limit of 64000"),
    },
    # Cohere (compatibility API): errors are a message with an id, and nothing else; `strict` and stream_options are
    # refused.
    "cohere": {
        **answers((21, 16)),
        **calls(WEATHER, usage=(21, 16)),
        "error": error(rawchat.UnprocessableEntityError, "422: unknown field: parameter 'strict'"),
        "error-401": error(rawchat.AuthenticationError, "401: invalid api token"),
        "overflow": overflow("too many tokens: size limit exceeded by 11326 tokens"),
    },
    # Cerebras: `reasoning`; an error's fields are at the top level; a 400 without a body.
    "cerebras": {
        **answers((12, 17), reasoning=R),
        **calls(WEATHER, usage=(12, 17)),
        "error": error(rawchat.AuthenticationError, "Wrong API Key", code="wrong_api_key"),
        "error-empty": error(rawchat.BadRequestError, "400"),
        "overflow": overflow(
            "Current length is 42328 while limit is 40000", code="context_length_exceeded"
        ),
    },
    # Azure: first a chunk with prompt_filter_results, empty id and model; after the finish_reason a chunk whose
    # choice has neither delta nor reason, only filter results; `event: error` without an error object.
    "azure": {
        **answers((19, 10)),
        **calls(WEATHER, usage=(19, 10)),
        "finish-stream": answer(text="Hello", finish="content_filter"),
        "error": error(
            rawchat.BadRequestError,
            "Azure OpenAI's content management policy",
            code="content_filter",
        ),
        "error-stream": error(
            rawchat.APIError, "The model failed to finish", code="server_error", partial="Hello"
        ),
        "overflow": overflow(
            "maximum context length is 128000 tokens", code="context_length_exceeded"
        ),
        "overflow-configured": overflow(
            "exceed the configured limit of 272000", code="context_length_exceeded"
        ),
    },
    # LiteLLM (proxy) in front of others: finish_reason absent until the end; usage in a chunk with an empty delta;
    # thinking_blocks beside reasoning_content; the upstream's error as text, escaped, within its own message.
    "litellm": {
        **answers((27, 18), reasoning_content=R, kept=["ErUBmade=="]),
        **calls(WEATHER, usage=(27, 18)),
        "error": error(rawchat.BadRequestError, "request param validation error", code="400"),
        "error-429": error(rawchat.RateLimitError, "Too many tokens, please wait", code="429"),
        "error-stream": error(
            rawchat.APIError, "peer closed connection", code="500", partial="Hello"
        ),
        "overflow-anthropic": overflow("prompt is too long: 200480 tokens", code="400"),
        "overflow-anthropic-output": overflow(
            "exceed context limit: 179413 + 32768 > 200000", code="400"
        ),
        "overflow-azure": overflow("exceed the configured limit of 272000", code="400"),
        "overflow-bedrock": overflow("Input is too long for requested model.", code="400"),
        "overflow-deepseek": overflow("maximum context length is 65536 tokens", code="400"),
        "overflow-gemini": overflow(
            "exceeds the maximum number of tokens allowed (1048576)", code="400"
        ),
        "overflow-openrouter": overflow("maximum context length is 32768 tokens", code="400"),
        "overflow-vllm": overflow("maximum context length is 16384 tokens", code="400"),
        "overflow-xai": overflow("maximum prompt length is 500000", code="400"),
    },
    # Others, with one peculiarity each.
    # Baidu (Qianfan): error_code and error_msg under 200, in a stream too.
    "baidu": {
        "error": error(rawchat.APIError, "Open api daily request limit reached", code="17"),
        "error-stream": error(rawchat.APIError, "Open api qps request limit reached", code="18"),
    },
    # 9router: a plain completion as an event stream, with its end behind it.
    "9router": {
        "plain": answer((11, 5)),
    },
    # Baseten (GLM): one line end, not two, between events.
    "baseten": {
        "stream": answer((11, 5)),
        "tools-stream": called(WEATHER),
    },
    # Cloudflare: a list of errors (Workers AI, under another name its AI Gateway); a page of HTML, with the user's
    # address, from the proxy.
    "cloudflare": {
        "error-gateway": error(rawchat.BadRequestError, "Chat completion bad format", code="2019"),
        "error": error(
            rawchat.RateLimitError, "Capacity temporarily exceeded, please try again.", code="3040"
        ),
        "error-520": error(
            rawchat.InternalServerError, "520: Web server is returning an unknown error"
        ),
    },
    # Coze: code and msg, under any status.
    "coze": {
        "error": error(rawchat.AuthenticationError, "authentication is invalid", code="4100"),
        "error-200": error(rawchat.APIError, "authentication is invalid", code="4100"),
    },
    # DeepInfra: an overflow in words of its own, which say length and no unit.
    "deepinfra": {
        "overflow": overflow("Requested input length 39818 exceeds maximum input length 32767"),
    },
    # FastChat: an error in a stream has its words under `text`; that max_tokens is negative says nothing of its cause.
    "fastchat": {
        "error-stream": error(
            rawchat.APIError, "YOUR INPUT VIOLATES OUR CONTENT MODERATION", code="50001"
        ),
        "overflow": overflow("maximum context length is 4096 tokens", code="40303"),
    },
    # GitHub Models: an overflow under 413, in words of its own.
    "github-models": {
        "overflow": overflow(
            "Request body too large for gpt-4o model.", code="tokens_limit_reached"
        ),
    },
    # new-api: every chunk has an error object with empty fields, which is none; a message that is itself the JSON of
    # an error.
    "new-api": {
        "stream": answer(),
        "error": error(
            rawchat.RateLimitError, "Resource has been exhausted (e.g. check quota).", code="429"
        ),
    },
    # OpenAI itself: wording that resembles an overflow and is none, of the output limit and of tokens per minute.
    "openai": {
        "error-429": error(
            rawchat.RateLimitError, "tokens per min (TPM)", code="rate_limit_exceeded"
        ),
        "error-max-tokens": error(
            rawchat.BadRequestError, "supports at most 16384 completion tokens"
        ),
    },
    # NVIDIA NIM: the name in every delta of a call; after tool_calls another chunk with finish_reason stop.
    "nvidia-nim": {
        "tools-stream": called(WEATHER),
    },
    # SiliconFlow: `code` and `message` at the top level; an overflow in words of its own.
    "siliconflow": {
        "overflow": overflow("must be less than max_seq_len", code="20015"),
    },
    # StepFun: tool calls without ids, which it refuses when they come back without.
    "stepfun": {
        "tools-stream": called(WEATHER, TIME),
    },
    # Volcengine (Doubao): an overflow in words that speak of images, whether there are any or not.
    "volcengine": {
        "overflow": overflow("exceed max message tokens", code="InvalidParameter"),
    },
    # Perplexity: the whole message so far beside each delta; cumulative usage, with a string in it; no [DONE].
    "perplexity": {
        "stream": answer((5, 3)),
    },
}

RECORDINGS = {
    f"{server}/{kind}": want for server, kinds in SERVERS.items() for kind, want in kinds.items()
}

# The recordings that today's code does not handle, whole and cut. Whoever fixes a rule removes its recordings here: one
# that passes although it is listed is a failure (strict).
XFAIL: set[str] = set()
XFAIL_CUT: set[str] = set()


def marked(known: set[str], names: Iterable[str] = RECORDINGS) -> list[Any]:
    """Return recordings as parameters, those in `known` marked as failing."""
    mark = pytest.mark.xfail(strict=True, reason="not handled yet")
    return [pytest.param(name, marks=[mark] if name in known else []) for name in names]


def is_stream(name: str) -> bool:
    return "stream" in name.split("/")[1]


@dataclass
class Outcome:
    """The outcome of a call: the text that was shown, and the reply or the error."""

    shown: str
    reply: Optional[rawchat.Reply] = None
    error: Optional[rawchat.APIError] = None


def ask(client: rawchat.Client, streamed: bool) -> Outcome:
    """Make a call; an exception that is not an APIError is a failure of the test."""
    shown: list[str] = []
    try:
        if not streamed:
            reply = client.chat("Hi")
            return Outcome(reply.text, reply)
        with client.stream_chat("Hi") as stream:
            shown.extend(stream.texts())
            return Outcome("".join(shown), stream.reply)
    except rawchat.APIError as problem:
        return Outcome("".join(shown), error=problem)


def play(streamed: bool, script: Sequence[Answer]) -> Iterator[Outcome]:
    """Yield the outcome of one call for each answer in `script`."""
    with serving(*script) as server:
        client = rawchat.Client(base_url=server.url, environ={}, max_retries=0)
        for _ in script:
            yield ask(client, streamed)


def normalised(reply: rawchat.Reply) -> list[Call]:
    """Return the calls of `reply` with their arguments decoded; their form has to be OpenAI's by now."""
    found = []
    for each in reply.tool_calls:
        assert each["id"]
        assert isinstance(each["id"], str)
        assert each["type"] == "function"
        assert isinstance(each["function"]["arguments"], str)
        found.append((each["function"]["name"], json.loads(each["function"]["arguments"] or "{}")))
    return found


def check_reply(outcome: Outcome, want: Want, streamed: bool) -> None:
    assert outcome.error is None
    reply = outcome.reply
    assert reply is not None
    assert (outcome.shown, reply.text) == (want.text, want.text)
    assert reply.message["role"] == "assistant"
    assert normalised(reply) == list(want.calls)
    assert reply.finish_reason == want.finish
    usage = rawchat.Usage.of(reply)
    assert (usage.prompt, usage.completion) == want.usage
    assert {name: reply.message.get(name) for name in want.fields} == want.fields
    for text in want.kept:
        assert text in json.dumps(reply.message, ensure_ascii=False)
    if streamed:
        assert reply["object"] == "chat.completion"
        assert not any("index" in each for each in reply.tool_calls)


def check_error(outcome: Outcome, want: Want, status: int) -> None:
    problem = outcome.error
    assert problem is not None, f"no error, but {outcome.reply}"
    assert want.error is not None
    assert isinstance(problem, want.error)
    assert not isinstance(problem, rawchat.APIConnectionError), (
        "a plain error, not a broken connection"
    )
    if want.overflow is not None:
        assert isinstance(problem, rawchat.ContextLengthExceededError) is want.overflow
    if status >= 400 and want.overflow is False:
        assert type(problem) is want.error
    for words in want.says:
        assert words in str(problem)
    if want.says:
        assert not str(problem).partition(": ")[2].startswith("{"), (
            "the message is the server's words, not its JSON"
        )
    for name, value in (("code", want.code), ("type", want.type)):
        if value is not None:
            assert getattr(problem, name) == value
    assert outcome.shown == want.partial
    if problem.partial is not None:
        assert problem.partial.text == want.partial


def check(name: str, steps: Answer) -> None:
    """Play a recording; one that refuses by its status answers both kinds of call."""
    want, status = RECORDINGS[name], int(read_bytes(name).split(b" ", 2)[1])
    for streamed in (False, True) if status >= 400 else (is_stream(name),):
        for outcome in play(streamed, [steps]):
            if want.error:
                check_error(outcome, want, status)
            else:
                check_reply(outcome, want, streamed)


@row("11.1", "11.2", "11.3", "11.7")
@pytest.mark.parametrize("name", marked(XFAIL))
def test_a_recording_is_understood(name: str) -> None:
    check(name, [read_bytes(name), CLOSE])


@pytest.mark.parametrize("name", marked(XFAIL))
def test_a_recording_in_single_bytes_is_understood(name: str) -> None:
    check(name, [*(bytes([byte]) for byte in read_bytes(name)), CLOSE])


OVERFLOWS = [name for name, want in RECORDINGS.items() if want.overflow and not want.partial]


@row("11.9")
@pytest.mark.parametrize("name", marked(XFAIL, OVERFLOWS))
def test_a_history_recovers_from_an_overflow(name: str) -> None:
    """The question is asked again without the turn before it. (An overflow after some text is an error: see above.)"""
    good: Answer = streamed_answer() if is_stream(name) else plain_answer(completion())
    with serving(good, [read_bytes(name), CLOSE], good) as server:
        history = rawchat.History(
            # The server may close a connection just before it is used again: that is retried.
            client=rawchat.Client(base_url=server.url, environ={}, sleep=lambda seconds: None)
        )
        for question in ("a", "b"):
            text = (
                "".join(history.stream(question)) if is_stream(name) else history.ask(question).text
            )
            assert text == "Hello"
        assert [len(seen.json["messages"]) for seen in server.requests] == [1, 3, 1]


@row("11.18")
@pytest.mark.parametrize("name", marked(XFAIL_CUT))
def test_a_recording_that_is_cut_is_an_error_or_whole(name: str) -> None:
    """Expect an APIError with all the text that arrived whole, or a success that is complete.

    Streams are also played without chunked framing: then HTTP cannot tell that they are cut.
    """
    want, data = RECORDINGS[name], read_bytes(name)
    versions = [data, until_close(data)] if is_stream(name) else [data]
    parts = [version[:end] for version in versions for end in cuts(name, version)]
    for part, outcome in zip(parts, play(is_stream(name), [[part, CLOSE] for part in parts])):
        assert outcome.shown.startswith(text_in(part)), part
        if outcome.error is not None:
            assert (want.text or want.partial).startswith(outcome.shown), part
            assert outcome.error.partial is None or outcome.error.partial.text == outcome.shown, (
                part
            )
        else:
            assert outcome.reply is not None
            assert not want.error, part
            assert (outcome.shown, normalised(outcome.reply)) == (want.text, list(want.calls)), part


def cuts(name: str, data: bytes) -> list[int]:
    """Return where to cut a recording: some bytes of it, others for each name, and the end of each event."""
    step = max(1, len(data) // CUTS) if CUTS else 1
    ends = set(range(zlib.crc32(name.encode()) % step, len(data), step))
    return sorted(ends | {match.end() for match in re.finditer(rb"\n\r?\n", data)} - {len(data)})


def until_close(data: bytes) -> bytes:
    """Return the response with a body that ends with the connection."""
    head, end, _ = data.partition(b"\r\n\r\n")
    return head.replace(CHUNKED, b"") + end + body_of(data)


def text_in(data: bytes) -> str:
    """Return the text of the events that are complete in `data`, a response that may be cut anywhere."""
    if b"Content-Type: text/event-stream" not in data.partition(b"\r\n\r\n")[0]:
        return ""
    events = body_of(data).replace(b"\r\n", b"\n").split(b"\n\n")[:-1]
    # Some servers send one line end, not two, between events.
    lines = [line for event in events for line in event.decode().split("\n")]
    return "".join(text_of(line) for line in lines)


def text_of(line: str) -> str:
    name, _, value = line.partition(":")
    if name != "data" or not value.lstrip().startswith("{"):
        return ""
    chunk = json.loads(value)
    texts = []
    for choice in chunk.get("choices") or []:
        content: Union[str, list[dict[str, Any]], None] = (choice.get("delta") or {}).get("content")
        if isinstance(content, list):
            content = "".join(part.get("text", "") for part in content)
        texts.append(content or "")
    return "".join(texts)


KINDS = {"plain", "stream", "tools", "tools-stream", "error"}
SMALL = {
    "9router",
    "baidu",
    "baseten",
    "cloudflare",
    "coze",
    "deepinfra",
    "fastchat",
    "github-models",
    "new-api",
    "nvidia-nim",
    "openai",
    "perplexity",
    "siliconflow",
    "stepfun",
    "volcengine",
}  # one peculiarity each


def test_every_recording_has_an_expectation_and_every_server_its_kinds() -> None:
    found = {f"{path.parent.name}/{path.stem}" for path in WIRE.glob("*/*.http")}
    assert found == set(RECORDINGS)
    assert set(RECORDINGS) >= XFAIL | XFAIL_CUT
    readme = (WIRE / "README.md").read_text("utf-8")
    for server, kinds in SERVERS.items():
        assert f"`{server}`" in readme
        if server not in SMALL:
            assert set(kinds) >= KINDS, server
            assert any(kind.startswith("overflow") for kind in kinds), server


def test_every_server_whose_wording_is_listed_is_found_by_its_name_in_this_file() -> None:
    text = pathlib.Path(__file__).read_text("utf-8").lower()
    for wording in OVERFLOW_WORDINGS:
        for name in re.sub(r"\(.*?\)", "", wording.seen_on).split(","):
            assert name.strip().lower() in text, wording
