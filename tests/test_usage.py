"""Sums of tokens, their price, and the estimate, also against the embedded model's own tokenizer."""

import threading
from typing import Any

import pytest

import rawchat
from rawchat.history import tokens as counting
from rawchat.usage import Meter, Usage

from . import tokens
from .server import answer, completion, delta, event, serving, streamed

COUNTS = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 60},
    "completion_tokens_details": {"reasoning_tokens": 5},
}
PRICES = {"prompt": 2.0, "cached": 0.5, "completion": 8.0}


def test_usage_is_read_from_a_reply_and_added() -> None:
    one = Usage.of({"usage": COUNTS})
    assert one == Usage(prompt=100, completion=20, cached=60, reasoning=5, calls=1)
    assert one + one == Usage(200, 40, 120, 10, 2)
    assert (one.total, sum([one, one], Usage()).total) == (120, 240)


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"usage": None},
        {"usage": []},
        {"usage": {"prompt_tokens": None}},
        {"usage": {"prompt_tokens_details": None}},
    ],
)
def test_what_the_server_does_not_say_is_zero(said: dict[str, Any]) -> None:
    assert Usage.of(said) == Usage(calls=1)


def test_pictures_count_input_and_output() -> None:
    assert Usage.of({"usage": {"input_tokens": 7, "output_tokens": 8}}) == Usage(7, 8, calls=1)


def test_cost_is_dollars_per_million_tokens() -> None:
    used = Usage(prompt=1_000_000, completion=500_000, cached=250_000)
    assert used.cost(PRICES) == pytest.approx(0.75 * 2 + 0.25 * 0.5 + 0.5 * 8)
    assert used.cost({"prompt": 2.0, "completion": 8.0}) == pytest.approx(6.0)


def test_a_meter_sees_every_finished_reply_streamed_ones_too() -> None:
    meter = Meter()
    last = event({**delta(), "choices": [], "usage": COUNTS})
    whole = streamed([event(delta("Hi")), event(delta(finish="stop")), last, event("[DONE]")])
    with serving(answer(completion(usage=COUNTS)), whole) as server:
        client = rawchat.Client(base_url=server.url, environ={}, on_reply=meter)
        client.chat("Hi")
        with client.stream_chat("Hi") as stream:
            assert meter.usage.calls == 1
            list(stream)
    assert meter.models == {"m": Usage(200, 40, 120, 10, 2)}
    assert meter.usage == Usage(200, 40, 120, 10, 2)
    assert meter.cost({"m": PRICES}) == pytest.approx((80 * 2 + 120 * 0.5 + 40 * 8) / 1e6)


class Tiktoken:
    """How tiktoken takes the names of special tokens."""

    def encode(self, text: str) -> list[str]:
        raise ValueError(
            "Encountered text corresponding to disallowed special token '<|endoftext|>'."
        )

    def encode_ordinary(self, text: str) -> list[str]:
        return text.split()


def test_the_name_of_a_special_token_in_a_message_is_text() -> None:
    assert counting.count_message(
        {"role": "user", "content": "What is <|endoftext|> ?"}, Tiktoken()
    ) == (4 + counting.MESSAGE_OVERHEAD)


def test_a_meter_may_count_while_it_is_asked() -> None:
    meter = Meter()

    class Prices(dict[str, dict[str, float]]):
        def __getitem__(self, model: str) -> dict[str, float]:
            meter({"model": "another"})  # as a thread may at any moment
            return PRICES

    meter({"model": "m", "usage": COUNTS})
    assert meter.cost(Prices(m=PRICES)) == Usage.of({"usage": COUNTS}).cost(PRICES)


def test_a_dated_model_has_the_price_of_its_name_and_no_other() -> None:
    meter = Meter()
    meter({"model": "gpt-4o-2024-08-06", "usage": COUNTS})
    assert meter.cost({"gpt-4o": PRICES}) == Usage.of({"usage": COUNTS}).cost(PRICES)
    meter({"model": "gpt-4o-mini", "usage": COUNTS})
    with pytest.raises(KeyError, match="no price for 'gpt-4o-mini'"):
        meter.cost({"gpt-4o": PRICES})


def test_threads_may_share_a_meter() -> None:
    meter = Meter()
    threads = [
        threading.Thread(target=lambda: [meter({"usage": COUNTS}) for _ in range(500)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.usage.calls == 2000


def test_the_estimate_is_within_15_percent_of_the_real_tokenizer(local_url: str) -> None:
    for name, text in tokens.SAMPLES.items():
        real = tokens.counted(local_url, text)
        assert counting.count_text(text) == pytest.approx(real, rel=0.15), name


def test_the_command_prints_estimate_and_count(
    local_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert tokens.main(local_url) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["sample", *tokens.SAMPLES]
    assert all("%" in line for line in lines[1:])


class Letters:
    """A tokenizer of which each letter is a token."""

    def encode(self, text: str) -> list[str]:
        return list(text)


def test_a_real_tokenizer_counts_instead_if_it_is_given() -> None:
    assert counting.count_text("four", Letters()) == 4
    message = {"role": "user", "content": "four"}
    assert counting.count_message(message, Letters()) == 4 + counting.MESSAGE_OVERHEAD


def test_a_message_is_its_texts_its_pictures_and_its_tool_calls() -> None:
    def count(**message: Any) -> int:
        return counting.count_message(message, Letters()) - counting.MESSAGE_OVERHEAD

    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}
    assert (
        count(content=[{"type": "text", "text": "ab"}, picture, picture])
        == 2 + 2 * counting.TOKENS_PER_PICTURE
    )
    assert count(content=None) == count(role="assistant") == count(content="") == 0
    assert count(content=None, tool_calls=[{"id": "1"}]) == len('[{"id": "1"}]')


@pytest.mark.parametrize("text", ["", " ", "\n", "\ud800", "a" * 100_000, "🙂" * 1000])
def test_any_text_has_an_estimate(text: str) -> None:
    assert 0 <= counting.count_text(text) <= max(3, 2.5 * len(text))
