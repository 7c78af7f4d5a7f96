"""The tree of errors: its classes, what they carry, and what they hide."""

import inspect
import pickle

import pytest

from rawchat import errors
from rawchat.errors import APIError
from rawchat.keys import redact_error
from rawchat.reply import Reply
from rawchat.wire import Headers

row = pytest.mark.row
ALL = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.RawchatError) and kind.__module__ == errors.__name__
]


@row("4.1")
def test_the_tree_is_the_sdks() -> None:
    assert issubclass(errors.APITimeoutError, errors.APIConnectionError)
    assert issubclass(errors.APIConnectionError, APIError)
    assert issubclass(
        errors.StreamTimeoutError, (errors.StreamInterruptedError, errors.APITimeoutError)
    )
    assert issubclass(errors.DeadlineExceededError, errors.APITimeoutError)
    assert not issubclass(errors.APIResponseValidationError, errors.APIStatusError)
    assert all(issubclass(kind, errors.RawchatError) for kind in ALL)


@row("4.4")
@pytest.mark.parametrize("kind", ALL)
def test_every_exception_pickles_with_its_fields(kind: type[errors.RawchatError]) -> None:
    error = kind("what happened")
    error.__dict__.update(
        status_code=400, body={"a": [1]}, code="c", headers=Headers({"X-A": "1"}), retries=2
    )
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (str(again), again.__dict__) == (str(error), error.__dict__)
    assert again.headers["x-a"] == "1"


@row("4.5")
def test_hide_takes_a_secret_out_of_every_field_but_the_answer() -> None:
    secret = "sk-very-secret"
    error = APIError(
        f"bad key {secret}",
        code=secret,
        body={"deep": [{"k": f"<{secret}>"}]},
        headers=Headers({"X-Echo": f"Bearer {secret}"}),
    )
    error.partial = Reply(text=f"the answer, {secret}")
    error.partial.headers = Headers({"X-Echo": secret})
    redact_error([secret, ""], error)
    partial = error.__dict__.pop("partial")
    assert secret not in f"{error} {error!r} {error.args} {error.__dict__} {dict(error.headers)}"
    assert partial == {"text": f"the answer, {secret}"}
    assert partial.headers == {"X-Echo": "***"}
    assert error.body["deep"] == [{"k": "<***>"}]
    assert error.headers["X-Echo"] == "Bearer ***"
