"""Typed answers over the wire, and from the real model."""

import enum
import pickle
from dataclasses import dataclass
from typing import Any, Literal, Optional

import pytest

import rawchat

from ..server import answer, completion, serving

row = pytest.mark.row


@dataclass
class Venue:
    city: str
    indoors: bool


class Mood(enum.Enum):
    GOOD = "good"
    BAD = "bad"


@dataclass
class Event:
    name: str
    venue: Venue
    mood: Mood
    price: Optional[int] = None


FAIR = (
    '{"name": "Fair", "venue": {"city": "Paris", "indoors": true}, "mood": "good", "price": null}'
)
BUILT = Event("Fair", Venue("Paris", True), Mood.GOOD)


def client(url: str, **settings: Any) -> rawchat.Client:
    return rawchat.Client(base_url=url, environ={}, max_retries=0, **settings)


def cut(text: str, reason: str, **message: Any) -> bytes:
    """An answer that ended for a reason."""
    message = {"role": "assistant", "content": text, **message}
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return answer({"choices": [choice]}, headers={"x-request-id": "r1"})


@row("7.1", "7.3")
def test_an_instance_is_asked_for_and_built() -> None:
    with serving(answer(completion(FAIR))) as server:
        assert client(server.url).parse("Ann goes to a fair", into=Event, temperature=0) == BUILT
    body = server.requests[0].json
    assert body["messages"] == [{"role": "user", "content": "Ann goes to a fair"}]
    assert body["temperature"] == 0
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "Event", "strict": True, "schema": rawchat.schema.schema(Event)},
    }


@pytest.mark.parametrize("refusal", [None, "", False, [], {}])
def test_an_empty_refusal_of_any_shape_is_none(refusal: Any) -> None:
    with serving(cut(FAIR, "stop", refusal=refusal)) as server:
        assert client(server.url).parse("?", Event) == BUILT


@row("7.1")
@pytest.mark.parametrize(
    ("kind", "text", "built"),
    [
        (list[Venue], '{"value": [{"city": "Rome", "indoors": false}]}', [Venue("Rome", False)]),
        (Mood, '{"value": "bad"}', Mood.BAD),
        (Literal["yes", "no"], '{"value": "no"}', "no"),
        (Optional[int], '{"value": null}', None),
    ],
)
def test_what_is_no_object_comes_back_unwrapped(kind: Any, text: str, built: Any) -> None:
    with serving(answer(completion(text))) as server:
        assert client(server.url).parse("?", kind) == built


def test_the_module_has_the_verb_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer(completion(FAIR))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setattr("rawchat.client.default._client", None)
        assert rawchat.parse("?", into=Event) == BUILT


def test_the_reply_that_a_meter_sees_has_the_instance() -> None:
    seen: list[rawchat.Reply] = []
    with serving(answer(completion(FAIR))) as server:
        client(server.url, on_reply=seen.append).parse("?", Event)
    assert seen[0].parsed == BUILT


@row("7.2")
def test_what_cannot_be_asked_for_is_refused_before_sending() -> None:
    with serving(answer(completion(FAIR))) as server, pytest.raises(TypeError, match="dict"):
        client(server.url).parse("?", into=dict)
    assert server.requests == []


@row("10.11")
def test_one_fenced_block_is_accepted() -> None:
    with serving(answer(completion(f"```json\n{FAIR}\n```"))) as server:
        assert client(server.url).parse("?", Event) == BUILT


@row("11.15")
@pytest.mark.parametrize(
    "text",
    [
        f"<think>A fair {{of sorts}}.</think>{FAIR}",
        f"The prompt began the thoughts.</think>\n\n{FAIR}",
        f"<think>\n</think>\n```json\n{FAIR}\n```\n",
        FAIR.replace("Paris", "Paris</think>"),
        "<think>x</think>" + FAIR.replace("Paris", "Paris</think>"),
        f"<thought>A fair {{of sorts}}.</thought>{FAIR}",
        f"<thinking>A fair.</thinking>\n{FAIR}",
        f"<reasoning>A fair.</reasoning>\n{FAIR}",
        f"<seed:think>A fair.</seed:think>{FAIR}",
        f"[THINK]A fair [of sorts].[/THINK]{FAIR}",
        f"◁think▷A fair.◁/think▷{FAIR}",
        f"<|channel|>analysis<|message|>A fair.<|end|><|start|>assistant<|channel|>final<|message|>{FAIR}",
        f"<|channel|>final <|constrain|>json<|message|>{FAIR}",
    ],
)
def test_the_json_may_follow_the_thoughts_of_the_model(text: str) -> None:
    with serving(answer(completion(text))) as server:
        assert client(server.url).parse("?", Event).name == "Fair"


@row("7.3", "10.11")
@pytest.mark.parametrize(
    ("played", "kind", "told"),
    [
        (cut(FAIR[:20], "length"), rawchat.LengthFinishReasonError, "max_tokens"),
        (cut(FAIR, "content_filter"), rawchat.ContentFilterFinishReasonError, "content filter"),
        (
            cut("", "stop", refusal="I will not."),
            rawchat.APIResponseValidationError,
            "the model refused: I will not.",
        ),
        (
            cut("", "stop", content=[{"type": "refusal", "refusal": "I will not."}]),
            rawchat.APIResponseValidationError,
            "the model refused: I will not.",
        ),
        (
            cut(f"Sure.</think>Well: {FAIR}", "stop"),
            rawchat.APIResponseValidationError,
            "does not fit: not JSON.*Well:",
        ),
        (
            cut(f"<other>Sure</other>{FAIR}", "stop"),
            rawchat.APIResponseValidationError,
            "does not fit: not JSON.*<other>Sure",
        ),
        (
            cut(f"Sure: {FAIR}", "stop"),
            rawchat.APIResponseValidationError,
            "does not fit: not JSON.*Sure:",
        ),
        (
            cut("{}", "stop"),
            rawchat.APIResponseValidationError,
            "the top: missing name, venue, mood",
        ),
        (cut("", "tool_calls", tool_calls=[{}]), rawchat.APIResponseValidationError, "no text"),
        (answer({"choices": []}), rawchat.APIResponseValidationError, "without a choice"),
    ],
)
def test_what_is_no_instance_is_an_error_that_keeps_the_reply(
    played: bytes, kind: type, told: str
) -> None:
    with serving(played) as server, pytest.raises(kind, match=told) as caught:
        client(server.url).parse("?", Event)
    assert "choices" in caught.value.reply
    assert len(server.requests) == 1
    assert "\n" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.reply) == (str(caught.value), caught.value.reply)


def test_a_mismatch_has_the_facts_of_its_response() -> None:
    with (
        serving(cut("{}", "stop")) as server,
        pytest.raises(rawchat.APIResponseValidationError) as caught,
    ):
        client(server.url).parse("?", Event)
    assert (caught.value.status_code, caught.value.request_id) == (200, "r1")


@row("7.4")
def test_a_pydantic_model_validates_itself() -> None:
    class Model:
        @classmethod
        def model_json_schema(cls) -> dict[str, Any]:
            return {"type": "object", "properties": {"a": {"type": "integer"}}}

        @classmethod
        def model_validate_json(cls, text: str) -> Any:
            return ("built", text)

    with serving(answer(completion('{"a": 1}'))) as server:
        assert client(server.url).parse("?", Model) == ("built", '{"a": 1}')
    assert server.requests[0].json["response_format"]["json_schema"]["schema"]["required"] == ["a"]


@pytest.mark.parametrize(
    "given", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "x"}}]
)
def test_a_response_format_of_the_callers_passes_through(given: dict[str, Any]) -> None:
    with serving(answer(completion(FAIR))) as server:
        client(server.url).chat("?", response_format=given)
        assert client(server.url).parse("?", Event, response_format=given) == BUILT
    assert [request.json["response_format"] for request in server.requests] == [given, given]


@dataclass
class Score:
    points: float
    mood: Mood


@dataclass
class Step:
    right: bool
    mood: Mood
    best: Score
    worst: Optional[Score]


@row("7.3")
@pytest.mark.parametrize(
    "question", ["Well done!", "你好", "def f(x): return x", "Say nothing at all, only hello"]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_real_model_always_gives_an_instance(local_url: str, question: str, seed: int) -> None:
    """Whatever is asked: the grammar leaves it no other way.  (A text may run to the token limit: none here.)"""
    made = client(local_url).parse(question, into=Step, seed=seed, temperature=1)
    assert (type(made), type(made.mood), type(made.right), type(made.best)) == (
        Step,
        Mood,
        bool,
        Score,
    )


@row("7.3")
def test_the_real_model_gives_an_instance_with_texts(local_url: str) -> None:
    made = client(local_url).parse(
        "Ann and Bob go to the science fair in Paris on Friday, it costs 5.",
        into=Event,
        seed=1,
        temperature=0,
    )
    assert type(made) is Event
    assert (type(made.venue), type(made.mood)) == (Venue, Mood)
