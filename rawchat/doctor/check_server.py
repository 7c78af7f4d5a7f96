"""The checks of the other endpoints, of errors and of the connection; and the list of all checks."""

from typing import Any, Optional

from . import adapter, check_chat, check_tools, exchanges
from .exchanges import Outcome
from .probe import DIFFERS, NO, NOT_TRIED, OK, Check, Session, Verdict, refusal_verdict

CONTEXT_NAMES = ("context_length", "context_window", "max_model_len", "max_context_length", "n_ctx")
LARGE_CONTEXT = 40_000  #: tokens from which on filling a context costs too much to try it unasked
BLIND_CONTEXT = 150_000  #: words that are sent where the size of the context is not known


def models(session: Session) -> Verdict:
    """Ask for the list of models."""
    outcome = session.ask("GET", "/models")
    if not outcome.answered:
        return refusal_verdict(outcome)
    payload = outcome.json
    if isinstance(payload, dict) and isinstance(payload.get("data"), list):
        session.models = exchanges.objects(payload["data"])
        if all(isinstance(model.get("id"), str) for model in session.models):
            return Verdict(OK, f"{len(session.models)}")
        return Verdict(DIFFERS, "models without an id")
    if isinstance(payload, list):
        session.models = exchanges.objects(payload)
        return Verdict(DIFFERS, "a bare list")
    if isinstance(payload, dict) and isinstance(payload.get("models"), list):
        session.models = exchanges.objects(payload["models"])
        return Verdict(DIFFERS, "under `models`, not `data`")
    return Verdict(NO, "not a list of models", 5)


def completions(session: Session) -> Verdict:
    """Ask the older endpoint to continue a text."""
    body = {"model": session.model, "prompt": "1, 2, 3,", "max_tokens": 8}
    outcome = session.ask("POST", "/completions", body)
    if not outcome.answered:
        return refusal_verdict(outcome)
    found = exchanges.choices(outcome.json)
    if found and isinstance(found[0].get("text"), str):
        return Verdict(OK)
    return Verdict(NO, "the response has no choice with a text", 5)


def embeddings(session: Session) -> Verdict:
    """Ask for an embedding: of the first model whose name says that it makes them, else of the chat model."""
    names = [str(model.get("id")) for model in session.models]
    fitting = [name for name in names if "embed" in name.lower()]
    model = fitting[0] if fitting else session.model
    outcome = session.ask("POST", "/embeddings", {"model": model, "input": "hi"})
    if not outcome.answered:
        return refusal_verdict(outcome)
    payload = outcome.json
    data = exchanges.objects(payload.get("data")) if isinstance(payload, dict) else []
    if not data:
        return Verdict(NO, "the response has no data", 5)
    vector = data[0].get("embedding")
    if not isinstance(vector, list) or not vector:
        return Verdict(DIFFERS, "the embedding is not a list of numbers")
    if not all(isinstance(number, (int, float)) for number in vector):
        return Verdict(DIFFERS, "the embedding is not a list of numbers")
    return Verdict(OK, f"{len(vector)} dimensions")


def errors(session: Session) -> Verdict:
    """Send a body that must be refused, and look at the shape of the error."""
    outcome = session.ask("POST", "/chat/completions", {})
    if outcome.failure:
        return refusal_verdict(outcome)
    if outcome.status == 429:
        return refusal_verdict(outcome)
    fault = fault_of_error(outcome)
    if outcome.answered:
        return Verdict(NO, f"an empty request is answered with {outcome.status}", 5)
    return Verdict(DIFFERS, fault) if fault else Verdict(OK)


def fault_of_error(outcome: Outcome) -> str:
    """Return how an error response differs from {"error": {"message": …}} with a status of 4xx; '' if it does not."""
    payload = outcome.json
    if payload is None:
        return f"{outcome.status} without JSON"
    error = payload.get("error") if isinstance(payload, dict) else None
    if isinstance(error, str):
        return "`error` is a text, not an object"
    if not isinstance(error, dict):
        return "no `error` object"
    if not isinstance(error.get("message"), str):
        return "`error` has no message"
    if outcome.status >= 500:
        return f"{outcome.status} for a mistake of the caller's"
    return ""


def overflow(session: Session) -> Verdict:
    """Send more than the context holds, and look whether rawchat recognises the refusal."""
    size = context_size(session)
    if "overflow" not in session.named and (size is None or size > LARGE_CONTEXT):
        known = f"the context is {size} tokens" if size else "the size of the context is not known"
        return Verdict(
            NOT_TRIED, f"{known}, and filling it may be expensive: --probe=overflow tries it"
        )
    words = int(size * 1.2) if size else BLIND_CONTEXT
    outcome = session.chat("a " * words, 1)
    if outcome.failure or outcome.status == 429:
        return refusal_verdict(outcome)
    if outcome.answered:
        return Verdict(
            DIFFERS, "accepted: the server truncates the prompt silently, or the context is larger"
        )
    if adapter.is_overflow(outcome.status, outcome.headers, outcome.body):
        return Verdict(OK)
    return Verdict(NO, f"not recognised: {refusal_verdict(outcome).how}", 4)


def context_size(session: Session) -> Optional[int]:
    """Return the size of the context in tokens, where the list of models gives it."""
    for model in session.models:
        if len(session.models) > 1 and model.get("id") != session.model:
            continue
        meta = model.get("meta")
        layers: list[dict[str, Any]] = [model]
        if isinstance(meta, dict):  # llama.cpp
            layers.append(meta)
        for layer in layers:
            for name in CONTEXT_NAMES:
                if isinstance(layer.get(name), int):
                    return int(layer[name])
    return None


def keep_alive(session: Session) -> Verdict:
    """Look whether the requests so far shared connections; ask again if there was only one."""
    while len(session.outcomes) < 2:
        session.ask("GET", "/models")
    if any(outcome.reused for outcome in session.outcomes):
        return Verdict(OK)
    if all(outcome.reused is None for outcome in session.outcomes):
        return Verdict(NOT_TRIED, "the transport does not say")
    return Verdict(NO, "the server closes the connection after each response", 5)


def gzip(session: Session) -> Verdict:
    """Look whether any response was compressed; rawchat asks for that in every request."""
    encodings = [
        outcome.headers.get("content-encoding", "").lower() for outcome in session.outcomes
    ]
    found = [encoding for encoding in encodings if encoding not in ("", "identity")]
    if "gzip" in found:
        return Verdict(OK)
    if found:
        return Verdict(DIFFERS, f"{found[0]} in place of gzip")
    return Verdict(NO, "no response is compressed", 5)


CHECKS: tuple[Check, ...] = (
    Check("models", models),
    Check("chat", check_chat.chat, 2, 192),
    Check("stream", check_chat.stream, 5, 384),
    Check("[DONE]", check_chat.done, 0, 0, ("stream",)),
    Check("stream_usage", check_chat.stream_usage, 0, 0, ("stream",)),
    Check("n", check_chat.n, 1, 16, ("chat",)),
    Check("stop", check_chat.stop, 1, 96, ("chat",)),
    Check("seed", check_chat.seed, 4, 64, ("chat",)),
    Check("logprobs", check_chat.logprobs, 1, 8, ("chat",)),
    Check("max_tokens", check_chat.max_tokens, 2, 8, ("chat",)),
    Check("unknown_parameters", check_chat.unknown_parameters, 1, 8, ("chat",)),
    Check("tools", check_tools.tools, 2, 192, ("chat",)),
    Check("tools_stream", check_tools.tools_stream, 1, 96, ("tools", "stream")),
    Check("tools_parallel", check_tools.tools_parallel, 1, 128, ("tools",)),
    Check("tools_round_trip", check_tools.tools_round_trip, 2, 128, ("tools",)),
    Check("json_mode", check_tools.json_mode, 1, 96, ("chat",)),
    Check("json_schema", check_tools.json_schema, 1, 96, ("chat",)),
    Check("completions", completions, 1, 8),
    Check("embeddings", embeddings, 1),
    Check("errors", errors, 1),
    Check("overflow", overflow, 1, 1, ("chat",)),
    Check("keep_alive", keep_alive, 2),
    Check("gzip", gzip, 0),
)
