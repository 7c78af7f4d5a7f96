"""The tree of errors: its classes, what they carry, and what they hide."""

import inspect
import pickle

import pytest

import rawchat
from rawchat import errors
from rawchat.compat.error_responses import error_from_status
from rawchat.errors import APIError
from rawchat.keys.redaction import redact_error
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


def test_the_root_has_the_name_that_the_sdk_gives_it() -> None:
    assert rawchat.OpenAIError is rawchat.RawchatError
    with pytest.raises(rawchat.OpenAIError):
        rawchat.Client(base_url="nonsense", environ={})


def test_an_error_gives_status_and_headers_of_its_response_as_in_the_sdk() -> None:
    error = error_from_status(429, Headers({"Retry-After": "7"}), b"", "GET http://h/")
    again = pickle.loads(pickle.dumps(error))
    for each in (error, again):
        assert each.response.status_code == 429
        assert each.response.headers["retry-after"] == "7"
    assert errors.APIConnectionError("reset").response is None


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (errors.APIError("an event of a stream"), False),
        (errors.APIConnectionError("reset"), True),
        (errors.APITimeoutError("slow"), True),
        (errors.DeadlineExceededError("late"), False),
        (errors.CircuitOpenError("not sent"), False),
        (errors.RateLimitError("our own limit"), False),
        (errors.RateLimitError("theirs", status_code=429), True),
        (errors.RateLimitError("paid up", status_code=429, code="insufficient_quota"), False),
        (errors.APIResponseValidationError("no JSON", status_code=200), False),
    ],
)
def test_each_class_says_whether_it_is_worth_a_retry(error: APIError, retryable: bool) -> None:
    assert error.retryable is retryable
