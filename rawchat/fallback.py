"""Several models for one request: `model=["a", "b"]` asks b when a cannot answer."""

from typing import Any, Optional

from .encode import encode
from .errors import APIConnectionError, APIError, APITimeoutError, DeadlineExceededError
from .wire import Request


def each_model(request: Request, body: dict[str, Any]) -> Request:
    """`request` with `body`; where it names several models, for the first, with what to ask instead.

    >>> request = each_model(Request("POST", "http://localhost"), {"model": ["a", "b"]})
    >>> request.body, request.instead.body
    (b'{"model":"a"}', b'{"model":"b"}')
    """
    models = body.get("model")
    chain: Optional[Request] = None
    for model in reversed(models if isinstance(models, (list, tuple)) and models else [models]):
        each = {**body, "model": model} if "model" in body else body
        chain = request._replace(
            body=encode(each), instead=chain, model=model, choices=answers(body.get("n"))
        )
    return chain or request


def answers(n: Any) -> int:
    """How many answers a body with this `n` asks for."""
    return n if isinstance(n, int) and n > 1 else 1


def overloaded(failure: APIError) -> bool:
    """Might another model answer where this one did not: after 408, 429, 5xx or a timeout?"""
    if isinstance(failure, APIConnectionError):
        return isinstance(failure, APITimeoutError) and not isinstance(
            failure, DeadlineExceededError
        )
    status = failure.status_code or 0
    return status in (408, 429) or status >= 500
