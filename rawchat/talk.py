"""The chat prompt: hear what a person says, do it, and stay until the person leaves."""

import contextlib
import os
import sys
from typing import Any, Optional

from .answer import answer
from .client import Client
from .config import CHAT_MODEL
from .errors import RawchatError
from .history import History, shown
from .lines import Read, editor, message
from .notes import Notes, colourful
from .output import Output
from .precedence import Options
from .question import Question
from .record import Record
from .saved import Saved
from .session import Session
from .urls import without_keys
from .window import turns

LEAVE = {"exit", "quit", "/exit", "/quit"}


def talk(
    client: Client,
    question: Question,
    options: Options,
    out: Output,
    notes: Notes,
    record: Record,
    saved: Optional[Saved] = None,
) -> int:
    """Open the chat prompt: `question` has what is asked beside the messages.  Gives the exit code."""
    history = saved.history if saved else History()
    history[:] = question.content[:-1]
    extra, config = question.params["extra_body"], client.config

    def say(said: History, model: Any) -> None:
        params = {**question.params, "extra_body": {**extra, "model": model}}
        try:
            answer(client, question._replace(params=params), options, out, notes, record, said)
        finally:
            record.tell()  # else the seconds of one that failed would count for the next one

    def tell(text: str) -> None:
        out.write(text)
        out.end()

    model = extra.get("model") or config.model or CHAT_MODEL
    session = Session(history, model, say, tell, saved.save if saved else lambda history: None)
    begun = f", turns so far: {len(turns(history))}" if turns(history) else ""
    tell(f"{model} at {without_keys(config.base_url)}{begun}; /help shows how, Ctrl-D leaves")
    listen(session, reader(options, history), out, notes)
    return 0


def reader(options: Options, history: History) -> Read:
    """Reads lines from the terminal; the questions of the history are under the up arrow."""
    colour = colourful(options.color or "auto", os.environ, terminal=True)
    earlier = [shown(each) for each in history if each["role"] == "user"]
    return editor(sys.stdin, colour, os.environ.get("TERM") == "dumb", earlier)


def listen(session: Session, read: Read, out: Output, notes: Notes) -> None:
    """Hear what is said and do it, until the person leaves."""
    going = True
    while going:
        with contextlib.suppress(
            KeyboardInterrupt
        ):  # one that comes between two steps stops nothing
            going = step(session, read, out, notes)


def step(session: Session, read: Read, out: Output, notes: Notes) -> bool:
    """Hear one message, and do what it says; False to leave."""
    try:
        text, quoted = message(read)
    except (KeyboardInterrupt, EOFError) as end:
        out.end()  # below the line that was begun
        return isinstance(end, KeyboardInterrupt)
    if not quoted and text.strip() in LEAVE:
        return False
    try:
        session.obey(text, quoted)
    except KeyboardInterrupt:
        out.stop()
        notes.complain("stopped; the conversation is as it was before (/retry asks again)")
    except RawchatError as error:
        out.end_line()
        notes.complain(str(error))
    return True
