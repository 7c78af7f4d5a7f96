"""The reasons of the differences, in groups: what docs/parity.md counts.

A scenario gives its own reason (`better=`); the page groups those that come to the same.  A reason that stands in no group
is a group of its own, so that a new scenario needs no entry here until it has company.
"""

from collections.abc import Iterable

from .compare import Verdict

#: what the page says -> the reasons of the scenarios that it covers
GROUPS = {
    "A stream that ends early is an error, and `.partial` holds what arrived": [
        "the caller learns that the answer is not whole, and .partial holds what came",
        ".partial holds what came",
        ".partial is there, and empty",
    ],
    "The message of an error keeps what the server said": [
        "the message keeps what the server said",
        "what the server said is kept",
    ],
    "A body that is not the reply asked for is an error that shows an excerpt": [
        "it is an error, and says so",
        "it is an error, and says so, with a hint at base_url",
        "it is an error of ours, with an excerpt",
        "it is asked for again; then it is an error, and says so",
        "no answer is an error",
        "a chat answer in which no choice ever arrived is an error",
    ],
    "An error is raised wherever the server puts it: under status 200, inside a stream": [
        "an error is an error",
        "it is seen to be an error",
    ],
    "A stream is read by the rules of the WHATWG, and its end is recognised": [
        "it is read by the rules of the WHATWG",
        "a ping is no chunk",
        "it is an end",
        "a whole event counts",
        "the answer is whole: nothing is wrong with it",
    ],
    "An event without content is skipped, and the rest of the stream is read": [
        "it is passed over",
        "nothing in it can be read, and what follows can",
    ],
    "A JSON reply in place of a stream is delivered as one chunk": [
        "it is delivered as one chunk",
    ],
    "The deltas of a stream merge into the message of a plain reply, which can be sent back": [
        "tool calls carry no index, as in a plain reply",
        "another id is another call",
        "the role is not assistantassistant",
        "the message has its role, and can be sent back as it is",
        "a message without a role cannot be sent back, so it is the assistant's",
        "what came is the answer, with its finish_reason, as in a plain reply",
        "they are merged by index, whichever comes first",
        "a repeat counts once",
        "lists are joined, whatever is in them",
        "usage is kept",
        "id, model and date are the first that say something",
        "a missing field does no harm",
        "it is kept, as in a plain reply",
    ],
    "A redirect takes no key to another origin, and does not turn a POST into a GET": [
        "a question is not turned into a GET without it",
        "neither key nor question goes there",
        "five times are enough to know",
        "the message says so",
        "it is the server's redirection that is wrong, not the network",
    ],
    "The URL is built from all its parts: path, query, lists, blanks": [
        "path and query are both kept",
        "all slashes at its end are folded",
        "%20 is a blank to every server, + only to those that expect a form",
        "a list repeats its name, as most servers read it; the SDK's a[] is a habit of PHP",
    ],
    "A setting or a message that cannot work is refused before anything is sent": [
        "a password in a URL ends up in logs: it is refused",
        "what comes after # is never sent: it is refused",
        "it is refused when the client is made",
        "it is refused, and nothing is sent",
        "the error names the place",
        "it has its own class, under ConfigError",
    ],
    "A key is checked at once, never shown, and never sent unencrypted to another machine": [
        "it is refused at once, by its position, and never shown",
        "it is trimmed",
        "the key is taken out of it",
        "it would travel unencrypted: refused unless allow_http=True",
    ],
    "A server that needs no key is called without one": [
        "a local server needs no key",
        "an empty key is none, and is not sent",
    ],
    "With several keys, the next one is tried at once": [
        "the next key is tried, at once",
    ],
    "What a retry cannot fix is not retried": [
        "no wait brings quota back",
        "the status is known, and asking again cannot change it",
    ],
    "A response that was cut off is requested again": [
        "a cut answer is asked for again",
    ],
    "Memory and time have a bound: `max_bytes=`, `deadline=`": [
        "max_bytes= bounds what a server can fill memory with",
        "deadline= bounds all attempts together",
        "deadline= bounds the whole stream; the SDK waits until the server ends it",
    ],
    "Every failure is an error of the library, with fields of the promised types": [
        "it is an error of ours, not RecursionError; the SDK's caller catches APIError in vain",
        "it is an error of ours, not ValueError",
        "it is an error of ours",
        "they are str or None, as their types say",
    ],
    "A prompt that is too long has an error class of its own": [
        "it has its own class, so that a caller can shorten and go on",
    ],
    "Errors pickle, so that a worker process can return them": [
        "a worker process can hand its error on",
    ],
    "A connection is given back once its response was read, and carries nothing over to the next": [
        "a stream that has been read gives its connection back",
        "the error's body is read, and its connection serves the next attempt",
        "they are never taken for the next answer",
        "no cookies are kept",
    ],
    "A header may hold Latin-1 (RFC 9110, 5.5)": [
        "what a header may hold is sent (RFC 9110, 5.5)",
    ],
    "Settings are read from `.env` in the working directory": [
        "the SDK knows no .env",
    ],
}


def group_of(reason: str) -> str:
    """Return what the page says of a scenario's reason: its group, or the reason itself."""
    for group, reasons in GROUPS.items():
        if reason in reasons:
            return group
    return reason[0].upper() + reason[1:]


def by_group(verdicts: Iterable[Verdict]) -> dict[str, list[Verdict]]:
    """Return the verdicts that are better, by the group of their reason; the largest group comes first."""
    found: dict[str, list[Verdict]] = {}
    for one in verdicts:
        if one.word == "better":
            found.setdefault(group_of(one.reason), []).append(one)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))
