"""The chat prompt (REPL): read a message or a command from the terminal, run it, and repeat until the person leaves.

Lines are edited by readline where it exists.  An error or a Ctrl-C ends the step, not the chat.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any, Callable, Optional

from ..config import DEFAULT_CHAT_MODEL
from ..errors import RawchatError
from ..history import History, text_of
from ..history.window import turn_starts
from ..keys.redaction import redact_url
from .answer import AnswerInterrupted, send_query
from .commands import Session, completions, ignore_change
from .context import Context
from .terminal import describe_error, escape_control, knows_escapes, use_color, utf8
from .wrap import WordWrapper

# Print a prompt, and return a line without its end.  Raises KeyboardInterrupt, and EOFError at the end of the input.
ReadLine = Callable[[str], str]

PROMPT = "> "
CONTINUATION_PROMPT = ". "
QUOTES = '"""'
EXIT_WORDS = {"exit", "quit", "/exit", "/quit"}

# bold on and off (ECMA-48, 8.3.117)
BOLD = "\x1b[1m"
PLAIN = "\x1b[0m"

# readline counts columns, and leaves out what stands between these two
HIDDEN_START = "\001"
HIDDEN_END = "\002"

#: seconds between the lines of a pasted text, at most
PASTE_PAUSE = 0.05

STOPPED = "stopped; the conversation is as it was before (/retry asks again)"
STOPPED_PART = "stopped; what was printed stays in the conversation (/retry asks again)"


def run_repl(context: Context) -> int:
    """Run the chat prompt, and return the exit code of the command.

    The query of `context` holds the first messages, and the parameters of every call.
    """
    config = context.client.config
    query = context.query
    extra_body = query.params["extra_body"]
    history = History()
    on_change = ignore_change
    if context.conversation:
        history = context.conversation.history
        on_change = context.conversation.save
    # the last message is the question, which is not asked yet
    history[:] = query.content[:-1]

    def send(messages: History, model: Any) -> None:
        """Send the conversation to a model and print its answer."""
        params = {**query.params, "extra_body": {**extra_body, "model": model}}
        turn = context._replace(query=query._replace(params=params))
        try:
            send_query(turn, messages)
        finally:
            # else the seconds of a call that failed would count for the next one
            context.log.print_usage()

    def print_text(text: str) -> None:
        """Print a text that is not an answer; its lines stay whole, as a path may be copied from them."""
        context.stdout.put(utf8(text.rstrip("\r\n") + "\n"))

    model = extra_body.get("model") or config.model or DEFAULT_CHAT_MODEL
    greeting = f"{model} at {redact_url(config.base_url)}"
    turns = len(turn_starts(history))
    if turns:
        greeting += f", turns so far: {turns}"
    print_text(f"{greeting}; /help for commands, Ctrl-D to exit")
    if knows_escapes(os.environ):
        context.stdout.wrapper = WordWrapper(terminal_columns)
    session = Session(history, model, send, print_text, on_change)
    repl_loop(context, session, make_reader(context, history))
    return 0


def terminal_columns() -> int:
    """Return the present width of the terminal, 0 if it does not report one."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns
    except OSError:
        return 0


# ---- the loop


def repl_loop(context: Context, session: Session, read_line: ReadLine) -> None:
    """Run one step after the other until the person leaves."""
    running = True
    while running:
        # a Ctrl-C between two steps stops nothing
        with contextlib.suppress(KeyboardInterrupt):
            running = repl_step(context, session, read_line)


def repl_step(context: Context, session: Session, read_line: ReadLine) -> bool:
    """Read one message or command and run it; return False to leave."""
    stdout, stderr = context.stdout, context.stderr
    try:
        text, literal = read_message(read_line)
    except KeyboardInterrupt:
        # the next prompt stands below the line that was begun
        stdout.end()
        return True
    except EOFError:
        stdout.end()
        return False
    if not literal and text.strip() in EXIT_WORDS:
        return False
    try:
        session.handle(text, literal)
    except AnswerInterrupted:
        stdout.stop()
        stderr.warn(STOPPED_PART)
    except KeyboardInterrupt:
        stdout.stop()
        stderr.warn(STOPPED)
    except RawchatError as error:
        stdout.end_line()
        stderr.warn(describe_error(error, context.options))
    return True


# ---- what the person types


def read_message(read_line: ReadLine) -> tuple[str, bool]:
    r"""Return the next message, and whether it is literal: pasted or quoted, and therefore no command.

    A line that ends in \ continues on the next one; three quotation marks begin and end a text of several lines.
    """
    text = read_line(PROMPT)
    # only a pasted text holds line ends
    if "\n" in text:
        return text, True
    if text.startswith(QUOTES):
        text = text[len(QUOTES) :]
        while not text.rstrip().endswith(QUOTES):
            text += "\n" + read_line(CONTINUATION_PROMPT)
        text = text.rstrip()[: -len(QUOTES)]
        return text.strip("\n"), True
    while text.endswith("\\"):
        text = text[:-1] + "\n" + read_line(CONTINUATION_PROMPT)
    return text, False


def make_reader(context: Context, history: History) -> ReadLine:
    """Return the function that reads lines from the terminal; the messages of the history are under the up arrow."""
    colour = use_color(context.options.color or "auto", os.environ, terminal=True)
    messages = [text_of(message) for message in history if message["role"] == "user"]
    return make_line_editor(sys.stdin, colour, not knows_escapes(os.environ), messages)


def make_line_editor(stdin: Any, colour: bool, dumb: bool, messages: Iterable[str]) -> ReadLine:
    """Return `input`, in UTF-8 whatever the locale, with readline's editing where readline exists.

    colour      print the prompt in bold
    dumb        the terminal has no control sequences: leave readline out
    messages    earlier texts, for the up arrow

    The lines of a pasted text stay together: readline marks them, and without it they arrive at once.
    """
    stdin.reconfigure(encoding="utf-8", errors="replace")
    has_readline = not dumb and load_readline(messages)
    bold = plain = ""
    if colour and has_readline:
        bold = HIDDEN_START + BOLD + HIDDEN_END
        plain = HIDDEN_START + PLAIN + HIDDEN_END
    elif colour:
        bold = BOLD
        plain = PLAIN

    def read_line(prompt: str) -> str:
        """Read a line after a prompt; with readline, a pasted text."""
        prompt = f"{bold}{prompt}{plain}"
        if has_readline and hasattr(signal, "SIGCONT"):
            return input_resumable(prompt)
        return input(prompt)

    def read_lines(prompt: str) -> str:
        """Read a line after a prompt, and those that arrive together with it: they were pasted."""
        text = read_line(prompt)
        # Ctrl-D right after a line ends the text
        with contextlib.suppress(EOFError):
            while is_input_waiting(stdin):
                text += "\n" + input()
        return text

    return read_line if has_readline else read_lines


class ResumedError(Exception):
    """The process was stopped at the prompt (Ctrl-Z), and continues (fg); the argument is the text of the line."""


def input_resumable(prompt: str) -> str:
    """Return a line as `input` does, and draw the prompt and the text again after Ctrl-Z and fg.

    The shell has changed the modes of the terminal meanwhile, and Python's readline does not notice that.
    """
    import readline

    text = ""

    def raise_resumed(*arguments: Any) -> None:
        """Leave `input`, with the text that was typed."""
        raise ResumedError(readline.get_line_buffer())

    def insert_text() -> None:
        """Begin the line with the text that was typed."""
        readline.insert_text(text)

    previous = signal.signal(signal.SIGCONT, raise_resumed)
    readline.set_startup_hook(insert_text)
    try:
        while True:
            try:
                return input(prompt)
            except ResumedError as resumed:
                text = resumed.args[0]
    finally:
        readline.set_startup_hook(None)
        signal.signal(signal.SIGCONT, previous)


def is_input_waiting(stdin: Any) -> bool:
    """Return whether another line arrives within PASTE_PAUSE, faster than anybody types.

    The last line of a pasted text does not count before Enter ends it: until then the terminal keeps it.
    """
    if os.name == "nt":
        # select works with sockets only on Windows
        import msvcrt

        return bool(msvcrt.kbhit())  # type: ignore[attr-defined,unused-ignore]
    import select

    ready, _, _ = select.select([stdin], [], [], PASTE_PAUSE)
    return bool(ready)


def load_readline(messages: Iterable[str]) -> bool:
    """Set readline up, with earlier messages under the up arrow; return False where there is none."""
    try:
        import readline
    except ImportError:
        return False
    for text in messages:
        # readline would print some control characters as they are; and Enter must not read a file, or run a command,
        # because another program wrote its name into the conversation
        if text != escape_control(text) or text.startswith(("/", "@")):
            continue
        # the locale may lack characters of the text
        with contextlib.suppress(UnicodeError):
            readline.add_history(text)
    # the default since readline 8.1
    readline.parse_and_bind("set enable-bracketed-paste on")
    readline.set_completer(complete_word)
    readline.set_completer_delims(" \t\n")
    # libedit stands in for readline on macOS, and has a syntax of its own
    if "libedit" in (readline.__doc__ or ""):
        readline.parse_and_bind("bind ^I rl_complete")
    else:
        readline.parse_and_bind("tab: complete")
    return True


def complete_word(word: str, index: int) -> Optional[str]:
    """Return the completion of that index for the word before the cursor, None after the last: readline's protocol."""
    import readline

    line = readline.get_line_buffer()[: readline.get_endidx()]
    found = completions(line, word)
    if index < len(found):
        return found[index]
    return None
