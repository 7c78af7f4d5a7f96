"""The checks of plain and streamed chat, and of the parameters that both take."""

from collections.abc import Mapping, Sequence

from . import exchanges
from .exchanges import Outcome
from .probe import DIFFERS, NO, NOT_TRIED, OK, Session, Verdict, no_evidence, refusal_verdict

ANSWER_TOKENS = 96  #: bound on the answers to `chat`, `stream` and `stop`
SHORT_LIMIT = 4  #: bound that a count to 60 does not fit into
SHORT_TEXT = 40  #: characters that four tokens hardly hold
SHIP = "Invent a name for a ship. Write only the name."
COUNT = "Count from 1 to 20 in digits, separated by commas. Write nothing else."
COUNT_ON = "Count from 1 to 60 in digits, separated by commas. Write nothing else."
WAIT = 0.5  #: seconds before the first event that make a stream worth a second look
FEW_EVENTS = 5  #: fewer tell nothing about how they are delivered
BURST_GAP = 0.05  #: seconds between two bursts, at least
BURST = 10  #: events in one burst, on average, that show a buffer
FLOW = 0.1  #: share of the time within the bursts, at most: a buffer is emptied at once


def chat(session: Session) -> Verdict:
    """Ask for a plain completion."""
    outcome = session.plain = session.chat(COUNT, ANSWER_TOKENS, temperature=0)
    if not outcome.answered:
        return refusal_verdict(outcome)
    payload = outcome.json
    if not exchanges.choices(payload):
        return Verdict(NO, "the response has no choices", 5)
    missing = []
    is_cut = exchanges.is_cut(payload, ANSWER_TOKENS)
    # A model that thinks aloud may use up its tokens before the first word of the answer.
    if not exchanges.has_content(payload) and not is_cut:
        missing.append("text")
    if not exchanges.finish_reason(payload):
        missing.append("finish_reason")
    if not exchanges.has_usage(payload):
        missing.append("usage")
    if missing:
        return Verdict(DIFFERS, f"without {' and '.join(missing)}")
    if not exchanges.text(payload):
        return Verdict(OK, no_evidence(outcome, ANSWER_TOKENS).how)
    return Verdict(OK)


def stream(session: Session) -> Verdict:
    """Ask for a stream, and look whether its events are delivered one by one."""
    outcome = session.stream = session.stream_chat(COUNT, ANSWER_TOKENS, temperature=0)
    if not outcome.answered:
        return refusal_verdict(outcome)
    events = session.events(outcome)
    if not events:
        if exchanges.choices(outcome.json):
            return Verdict(NO, "answered with plain JSON, not with events", 5)
        return Verdict(NO, "the stream holds no event", 5)
    if not exchanges.deltas(events):
        return Verdict(NO, "no event holds a delta", 5)
    times = [event.seconds for event in events]
    if "content-length" in outcome.headers:
        return held_back(session, "collected whole before it was sent: it has a Content-Length")
    if is_late(times):
        longer = session.stream_chat(COUNT_ON, 288, temperature=0)
        later = [event.seconds for event in session.events(longer)]
        if later and is_late(later) and later[0] > 1.3 * times[0]:
            first = f"all {len(times)} events came at once after {times[0]:.1f} s"
            second = f"{len(later)} after {later[0]:.1f} s"
            return held_back(session, f"{first}, and {second}")
    bursts = count_bursts(times)
    if bursts > 1 and len(times) / bursts >= BURST:
        return held_back(session, f"{len(times)} events came in {bursts} bursts")
    if not exchanges.streamed_finish(events):
        return Verdict(DIFFERS, "no finish_reason")
    return Verdict(OK, f"{len(times)} events")


def is_late(times: Sequence[float]) -> bool:
    """Return whether all events came at once after a wait; a slow start and a fast model look so, too."""
    if len(times) < FEW_EVENTS:
        return False
    return times[0] >= WAIT and times[-1] - times[0] < 0.1 * times[0]


def count_bursts(times: Sequence[float]) -> int:
    """Return the number of bursts in which the events came; 1 for a stream that flows.

    A server that pauses now and then does not buffer: between its pauses, events arrive one by one.

    >>> count_bursts([0.0, 0.0, 0.0, 0.6, 0.6, 0.6])
    2
    >>> count_bursts([0.0, 0.03, 0.06, 0.66, 0.69, 0.72])
    1
    """
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    pauses = [gap for gap in gaps if gap >= BURST_GAP]
    waited = sum(pauses)
    if waited < WAIT or sum(gaps) - waited > FLOW * sum(gaps):
        return 1
    return 1 + len(pauses)


def held_back(session: Session, how: str) -> Verdict:
    """Return the verdict for a stream that is held back."""
    assert session.stream
    who = who_buffers(session.stream.headers, session.host, session.proxy, session.inspector)
    return Verdict(DIFFERS, f"held back: {how}", 0, who)


def who_buffers(headers: Mapping[str, str], host: str, proxy: str, inspector: str) -> str:
    """Return who probably holds a stream back, and what to do about it."""
    server = headers.get("server", "").lower()
    if headers.get("content-encoding", "identity") != "identity":
        return f"it is compressed ({headers['content-encoding']}): switch compression off for text/event-stream"
    if inspector:
        return f"{inspector} inspects the connection and may hold it back: have {host} exempted from inspection"
    if proxy:
        return f"the proxy {proxy} may hold it back: compare with NO_PROXY={host}, and switch its buffering off"
    if "nginx" in server or "openresty" in server:
        return "nginx in front of it: set `proxy_buffering off`, or send X-Accel-Buffering: no from behind it"
    if "cf-ray" in headers or "cloudflare" in server:
        return "Cloudflare in front of it: send Cache-Control: no-transform, and switch off what rewrites bodies"
    if "x-amz-apigw-id" in headers or "x-amzn-requestid" in headers:
        return "Amazon API Gateway in front of it: use response streaming, or a load balancer in its place"
    if "via" in headers:
        return (
            "a proxy in front of it, which the header Via names: switch its response buffering off"
        )
    return "the server itself, or a gateway in front of it: switch its response buffering off"


def done(session: Session) -> Verdict:
    """Look for [DONE] at the end of the stream."""
    assert session.stream
    if any(event.data.strip().startswith("[DONE]") for event in session.events(session.stream)):
        return Verdict(OK)
    return Verdict(NO, "the stream ends without it", 5)


def stream_usage(session: Session) -> Verdict:
    """Look for token counts in the stream, asked for by stream_options."""
    assert session.stream
    if not session.include_usage:
        return Verdict(NO, "stream_options is refused", 4)
    for event in session.events(session.stream):
        payload = event.json
        if exchanges.has_usage(payload):
            return Verdict(OK)
        if isinstance(payload, dict) and exchanges.has_usage(payload.get("x_groq")):
            return Verdict(DIFFERS, "under x_groq")
        if any(exchanges.has_usage(choice) for choice in exchanges.choices(payload)):
            return Verdict(DIFFERS, "within the choices")
    return Verdict(NO, "stream_options is ignored", 5)


def n(session: Session) -> Verdict:
    """Ask for two choices."""
    outcome = session.chat("Name a colour.", 8, n=2)
    if not outcome.answered:
        return refusal_verdict(outcome)
    count = len(exchanges.choices(outcome.json))
    return Verdict(OK) if count == 2 else Verdict(NO, f"ignored: {count} choice for n=2", 5)


def stop(session: Session) -> Verdict:
    """Ask the first question again, with a piece from the middle of its answer as `stop`."""
    assert session.plain
    piece = middle_piece(exchanges.text(session.plain.json))
    if not piece:
        return Verdict(NOT_TRIED, "the answer to `chat` is too short to stop within")
    outcome = session.chat(COUNT, ANSWER_TOKENS, temperature=0, stop=[piece])
    if not outcome.answered:
        return refusal_verdict(outcome)
    text = exchanges.text(outcome.json).strip()
    if piece in text:
        return Verdict(NO, "ignored: the answer holds the stop sequence", 5)
    first = exchanges.text(session.plain.json).strip()
    if not first.startswith(text):
        return Verdict(NOT_TRIED, "the same question was answered in other words")
    return Verdict(OK)


def middle_piece(text: str) -> str:
    """Return at most four characters without a blank from the middle of a text; "" if it is too short.

    A small model may count without blanks or commas, so words cannot be relied on.

    >>> middle_piece("1, 2, 3, 4, 5"), middle_piece("12345678910"), middle_piece("ok")
    ('3,', '6789', '')
    """
    if len(text) < 5:
        return ""
    words = text[len(text) // 2 :].split()
    return words[0][:4] if words else ""


def seed(session: Session) -> Verdict:
    """Ask the same with one seed and with another, at a temperature at which answers differ.

    The first answer to a prompt is computed in other steps than the next ones, which find the prompt in the server's
    cache: two of three answers have to be equal.
    """
    texts: list[str] = []
    while len(texts) < 3 and not has_pair(texts):
        outcome = session.chat(SHIP, 16, seed=7, temperature=1)
        if not outcome.answered:
            return refusal_verdict(outcome)
        texts.append(exchanges.text(outcome.json))
    if not has_pair(texts):
        return Verdict(NO, "accepted, but three answers to the same seed differ", 5)
    other = session.chat(SHIP, 16, seed=8, temperature=1)
    if not other.answered:
        return refusal_verdict(other)
    texts.append(exchanges.text(other.json))
    if len(set(texts)) == 1:
        return Verdict(NOT_TRIED, "the model gives the same answer to every seed")
    return Verdict(OK)


def has_pair(texts: Sequence[str]) -> bool:
    """Return whether two of the texts are equal."""
    return len(set(texts)) < len(texts)


def logprobs(session: Session) -> Verdict:
    """Ask for the probabilities of tokens."""
    outcome = session.chat("Say hi.", 8, logprobs=True, top_logprobs=2)
    if not outcome.answered:
        return refusal_verdict(outcome)
    for choice in exchanges.choices(outcome.json):
        found = choice.get("logprobs")
        content = found.get("content") if isinstance(found, dict) else None
        if any("logprob" in token for token in exchanges.objects(content)):
            return Verdict(OK)
        if content == [] and not exchanges.text(outcome.json):
            return no_evidence(outcome, 8)
        if found:
            return Verdict(DIFFERS, "logprobs of another shape")
    return Verdict(NO, "ignored: no logprobs in the response", 5)


def max_tokens(session: Session) -> Verdict:
    """Find out which of max_tokens and max_completion_tokens bounds an answer."""
    honoured = []
    notes = []
    unclear = 0
    for name in ("max_tokens", "max_completion_tokens"):
        messages = [{"role": "user", "content": COUNT_ON}]
        body = {"model": session.model, "messages": messages, name: SHORT_LIMIT}
        outcome = session.ask("POST", "/chat/completions", body)
        if not outcome.answered:
            verdict = refusal_verdict(outcome)
            if verdict.status == NOT_TRIED:
                return verdict
            notes.append(f"{name} is refused")
        elif exchanges.finish_reason(outcome.json) == "length":
            honoured.append(name)
        elif is_longer(outcome, SHORT_LIMIT):
            notes.append(f"{name} is ignored")
        else:
            unclear += 1
    if unclear:
        return Verdict(NOT_TRIED, f"the answer is complete within {SHORT_LIMIT} tokens")
    if len(honoured) == 2:
        return Verdict(OK)
    if honoured:
        return Verdict(DIFFERS, "; ".join(notes))
    return Verdict(NO, "; ".join(notes), 5)


def is_longer(outcome: Outcome, limit: int) -> bool:
    """Return whether an answer is longer than `limit` tokens, by the server's count or else by its length."""
    used = exchanges.completion_tokens(outcome.json)
    if used is not None:
        return used > limit
    return len(exchanges.text(outcome.json)) > SHORT_TEXT


def unknown_parameters(session: Session) -> Verdict:
    """Send a parameter that no server knows."""
    outcome = session.chat("Say hi.", 8, rawchat_doctor=1)
    if outcome.answered:
        if b"rawchat_doctor" in outcome.body:
            return Verdict(OK, "passed on")
        return Verdict(OK, "ignored")
    verdict = refusal_verdict(outcome)
    if outcome.status in (400, 422):
        return Verdict(DIFFERS, f"refused ({verdict.how})")
    return verdict
