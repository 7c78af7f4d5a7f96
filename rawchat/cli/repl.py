"""The chat prompt: hear what a person says, do it, and stay until the person leaves."""

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import Any, Callable, Optional

from ..client import Client
from ..config import DEFAULT_CHAT_MODEL
from ..errors import RawchatError
from ..history import History, text_of
from ..history.window import turn_starts
from ..urls import redact_url
from .answer import send_query
from .commands import Session
from .conversation import ConversationFile
from .options import Options
from .query import Query
from .report import CallLog
from .terminal import Output, Stderr, escape_control, use_color

ReadLine = Callable[[str], str]  # a line, without its end, after a prompt


PROMPT, MORE, BLOCK = "> ", ". ", '"""'


BOLD, PLAIN = "\x1b[1m", "\x1b[0m"  # ECMA-48, 8.3.117


def read_message(read: ReadLine) -> tuple[str, bool]:
    """What is said next; and is it meant as it stands, as it was pasted or quoted?  Raises what `input` raises."""
    text = read(PROMPT)
    if "\n" in text:  # only what is pasted holds line ends
        return text, True
    if text.startswith(BLOCK):
        text = text[len(BLOCK) :]
        while not text.rstrip().endswith(BLOCK):
            text += "\n" + read(MORE)
        return text.rstrip()[: -len(BLOCK)].strip("\n"), True
    while text.endswith("\\"):
        text = text[:-1] + "\n" + read(MORE)
    return text, False


def make_line_editor(stdin: Any, colour: bool, dumb: bool, earlier: Iterable[str]) -> ReadLine:
    """`input`, in UTF-8 whatever the locale; where there is a readline, and the terminal is not too `dumb` for it, with
    editing, with `earlier` texts under the up arrow, and with pasted lines kept together.
    """
    stdin.reconfigure(encoding="utf-8", errors="replace")
    try:
        if dumb:
            raise ImportError  # PyPy's readline cannot even be loaded on one
        import readline
    except ImportError:
        return lambda prompt: input(f"{BOLD}{prompt}{PLAIN}" if colour else prompt)
    for text in earlier:
        if text == escape_control(
            text
        ):  # readline would show some of what can steer a terminal as it is
            with contextlib.suppress(UnicodeError):  # one that the locale has no characters for
                readline.add_history(text)
    readline.parse_and_bind("set enable-bracketed-paste on")  # on by itself since 8.1
    # \001 and \002 hold what takes no room on the line: readline counts columns
    return lambda prompt: input(f"\001{BOLD}\002{prompt}\001{PLAIN}\002" if colour else prompt)


EXIT_WORDS = {"exit", "quit", "/exit", "/quit"}


def run_repl(
    client: Client,
    question: Query,
    options: Options,
    out: Output,
    notes: Stderr,
    record: CallLog,
    saved: Optional[ConversationFile] = None,
) -> int:
    """Open the chat prompt: `question` has what is asked beside the messages.  Gives the exit code."""
    history = saved.history if saved else History()
    history[:] = question.content[:-1]
    extra, config = question.params["extra_body"], client.config

    def say(said: History, model: Any) -> None:
        params = {**question.params, "extra_body": {**extra, "model": model}}
        try:
            send_query(client, question._replace(params=params), options, out, notes, record, said)
        finally:
            record.print_usage()  # else the seconds of one that failed would count for the next one

    def tell(text: str) -> None:
        out.write(text)
        out.end()

    model = extra.get("model") or config.model or DEFAULT_CHAT_MODEL
    session = Session(history, model, say, tell, saved.save if saved else lambda history: None)
    begun = f", turns so far: {len(turn_starts(history))}" if turn_starts(history) else ""
    tell(f"{model} at {redact_url(config.base_url)}{begun}; /help shows how, Ctrl-D leaves")
    repl_loop(session, make_reader(options, history), out, notes)
    return 0


def make_reader(options: Options, history: History) -> ReadLine:
    """Reads lines from the terminal; the questions of the history are under the up arrow."""
    colour = use_color(options.color or "auto", os.environ, terminal=True)
    earlier = [text_of(each) for each in history if each["role"] == "user"]
    return make_line_editor(sys.stdin, colour, os.environ.get("TERM") == "dumb", earlier)


def repl_loop(session: Session, read: ReadLine, out: Output, notes: Stderr) -> None:
    """Hear what is said and do it, until the person leaves."""
    going = True
    while going:
        with contextlib.suppress(
            KeyboardInterrupt
        ):  # one that comes between two steps stops nothing
            going = repl_step(session, read, out, notes)


def repl_step(session: Session, read: ReadLine, out: Output, notes: Stderr) -> bool:
    """Hear one message, and do what it says; False to leave."""
    try:
        text, quoted = read_message(read)
    except (KeyboardInterrupt, EOFError) as end:
        out.end()  # below the line that was begun
        return isinstance(end, KeyboardInterrupt)
    if not quoted and text.strip() in EXIT_WORDS:
        return False
    try:
        session.handle(text, quoted)
    except KeyboardInterrupt:
        out.stop()
        notes.warn("stopped; the conversation is as it was before (/retry asks again)")
    except RawchatError as error:
        out.end_line()
        notes.warn(str(error))
    return True
