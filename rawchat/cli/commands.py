"""A conversation at the chat prompt: send what the person types, and run the commands that begin with /."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple, Optional

from ..errors import one_line
from ..history import History, text_of
from ..history.window import turn_starts
from .answer import AnswerInterrupted
from .conversation import ConversationFile
from .inputs import UsageError, expand_at_file, read_file
from .terminal import escape_control

#: characters that /undo shows of a message, and /system of the instructions
EXCERPT = 60

#: columns of the commands in /help; their descriptions begin there
HELP_INDENT = 17


def ignore_change(history: History) -> None:
    """Ignore the change: the conversation is not kept in a file."""


class Session:
    """A conversation and the model that answers it.

    send        sends a history to a model, prints the answer and adds it to the history
    print_text  prints a text
    on_change   is called with the history after every turn, and after every change of it
    """

    def __init__(
        self,
        history: History,
        model: Any,
        send: Callable[[History, Any], Any],
        print_text: Callable[[str], Any],
        on_change: Callable[[History], Any] = ignore_change,
    ):
        self.history = history
        self.model = model
        self._send = send
        self._print = print_text
        self._on_change = on_change
        self._unanswered: Optional[str] = (
            None  # the last message, if its call was stopped or failed
        )
        self._saved: set[str] = set()  # paths that /save has written

    def handle(self, text: str, literal: bool) -> None:
        """Send a message, or run a command; blank input is ignored.  @FILE sends the text in a file.

        literal     the text was pasted or quoted, and is the message even if it begins with / or @

        Raises RawchatError if the call or the command fails; the conversation is then as it was before.
        """
        if literal or not text.startswith("/"):
            if text.strip():
                self._ask(text if literal else expand_message(text))
            return
        if text.startswith("//"):
            self._ask(text[1:])
            return
        name, *rest = text.split(None, 1)
        if name not in COMMANDS:
            raise UsageError(
                f"no such command: {name} (/help lists them; // begins a message with /)"
            )
        argument = rest[0].strip() if rest else ""
        COMMANDS[name].run(self, argument)

    # ---- the commands

    def set_system(self, text: str) -> None:
        """Replace the instructions, and print how they begin; without a text, print the present ones."""
        if text:
            instructions = expand_at_file(text, "/system")
            self.history.system = instructions
            self._print(f"instructions: {one_line(instructions, EXCERPT)}")
            self._on_change(self.history)
        else:
            self._print(self.history.system or "no instructions; /system TEXT sets them")

    def set_model(self, name: str) -> None:
        """Switch to another model, and print its name; without a name, print the present one."""
        if name:
            self.model = name
        self._print(f"model: {self.model}")

    def retry(self, _: str) -> None:
        """Send the last message again, and replace its answer; if it was not answered, send it as a new one."""
        if self._unanswered is not None:
            self._ask(self._unanswered)
            return
        start = self._last_turn()
        message = self.history[start]
        if message["role"] != "user":
            raise UsageError("nothing has been asked yet")
        self._turn(message["content"], start)

    def undo(self, _: str) -> None:
        """Remove the last turn."""
        start = self._last_turn()
        excerpt = one_line(text_of(self.history[start]), EXCERPT)
        self._print(f"removed: {excerpt}")
        del self.history[start:]
        self._on_change(self.history)

    def reset(self, _: str) -> None:
        """Remove all messages except the instructions."""
        self.history.clear()
        self._unanswered = None
        self._print("the conversation is empty")
        self._on_change(self.history)

    def show(self, _: str) -> None:
        """Print the conversation, without its instructions."""
        self._print(self.history.show() or "nothing has been said yet")

    def edit(self, text: str) -> None:
        """Open the editor on a message, and send what is saved there."""
        message = edit_in_editor(text, os.environ)
        if not message.strip():
            raise UsageError("the file is empty: nothing was sent")
        self._print(message)
        self._ask(message)

    def save(self, path: str) -> None:
        """Write the conversation to a new file; a file of this session may be written again."""
        if not path:
            raise UsageError("usage: /save FILE")
        path = os.path.abspath(os.path.expanduser(path))
        if os.path.lexists(path) and path not in self._saved:
            raise UsageError(f"{path} already exists; choose another file")
        ConversationFile(path).save(self.history)
        self._saved.add(path)
        self._print(f"saved; --conversation {path} continues it")

    def show_tokens(self, _: str) -> None:
        """Print the size of the conversation, and the usage of this session."""
        used = self.history.usage
        size = sum(map(self.history.sizes, self.history))
        self._print(
            f"messages: {len(self.history)}, about {size:.0f} tokens; "
            f"answers: {used.calls}, {used.prompt} tokens sent and "
            f"{used.completion} received"
        )

    def show_help(self, _: str) -> None:
        """Print the commands and the keys."""
        lines = []
        for name, command in COMMANDS.items():
            usage = f"{name} {command.argument}"
            lines.append(usage.ljust(HELP_INDENT) + command.help)
        self._print("\n".join(lines + KEYS_HELP))

    # ---- turns

    def _ask(self, message: str) -> None:
        """Send a new message."""
        self._unanswered = message
        self._turn(message, len(self.history))

    def _turn(self, content: Any, start: int) -> None:
        """Replace the conversation from `start` on by a turn that begins with `content`.

        If the call fails, the conversation stays as it was.  So it does if Ctrl-C stops the call before anything is
        printed, or if the turn is a second try of one that has an answer; that is a plain KeyboardInterrupt.
        Otherwise what was printed becomes the answer, and the error is AnswerInterrupted.
        """
        question = {"role": "user", "content": content}
        try:
            with self.history.turn():
                self.history[start:] = [question]
                self._send(self.history, self.model)
        except AnswerInterrupted as interrupted:
            text = interrupted.partial.text
            if not text or start < len(self.history):
                raise KeyboardInterrupt from None
            self.history += [question, {"role": "assistant", "content": text}]
            self._finish_turn()
            raise
        self._finish_turn()

    def _finish_turn(self) -> None:
        """Note that the last message has its answer."""
        self._unanswered = None
        self._on_change(self.history)

    def _last_turn(self) -> int:
        """Return the index at which the last turn starts; raise UsageError if there is none."""
        starts = turn_starts(self.history)
        if not starts:
            raise UsageError("nothing has been said yet")
        return starts[-1]


def expand_message(text: str) -> str:
    """Return the message that a person typed: the text of FILE for '@FILE', '@x' for '@@x', as on the command line.

    Raises UsageError for a file that cannot be read.
    """
    if "\n" in text:
        return text
    if text.startswith("@"):
        text = text.rstrip()
    return expand_at_file(text, "the message")


def edit_in_editor(text: str, environ: Mapping[str, str]) -> str:
    """Let the person edit `text` in $VISUAL or $EDITOR (default: vi; Notepad on Windows), and return the result.

    Raises UsageError if the editor cannot be started, if it fails, or if it leaves no text in UTF-8.
    """
    default = "notepad" if os.name == "nt" else "vi"
    command = environ.get("VISUAL") or environ.get("EDITOR") or default
    with tempfile.TemporaryDirectory(prefix="rawchat-") as folder:
        path = os.path.join(folder, "message.md")
        with open(path, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        try:
            code = subprocess.call([*split_command(command, os.name == "nt"), path])
        except (OSError, ValueError) as error:
            raise UsageError(f"EDITOR: {command}: {error}") from None
        if code != 0:
            raise UsageError(f"EDITOR: {command}: exit code {code}; nothing was sent")
        return read_file(path)


def split_command(command: str, windows: bool) -> list[str]:
    r"""Return the words of a command line; raise ValueError for a quotation that is not closed.

    windows     a backslash is part of a path, and the program may be a script, whose suffix PATHEXT adds

    >>> split_command(r'"C:\Program Files\ed.exe" -w', windows=True)
    ['C:\\Program Files\\ed.exe', '-w']
    """
    if not windows:
        return shlex.split(command)
    words = [word.strip('"') for word in shlex.split(command, posix=False)]
    if words:
        words[0] = shutil.which(words[0]) or words[0]
    return words


class Command(NamedTuple):
    """A command of the chat prompt."""

    run: Callable[[Session, str], None]
    argument: str  #: its argument, for /help
    help: str


COMMANDS = {
    "/system": Command(
        Session.set_system, "[TEXT]", "show the instructions, or replace them; @FILE reads them"
    ),
    "/model": Command(Session.set_model, "[NAME]", "show the model, or switch to another one"),
    "/retry": Command(Session.retry, "", "send the last message again"),
    "/undo": Command(Session.undo, "", "remove the last turn"),
    "/reset": Command(Session.reset, "", "remove the conversation, but not the instructions"),
    "/show": Command(Session.show, "", "show the conversation"),
    "/edit": Command(Session.edit, "[TEXT]", "write a message in $EDITOR, and send it"),
    "/save": Command(Session.save, "FILE", "write the conversation to a new FILE"),
    "/tokens": Command(Session.show_tokens, "", "show the size of the conversation and the usage"),
    "/help": Command(Session.show_help, "", "show this help"),
}

KEYS_HELP = [
    "exit             leave; so do quit and Ctrl-D",
    "Ctrl-C           stop the answer, or clear the line",
    "Tab              complete a command or a path",
    "",
    'A line that ends in \\ continues on the next one. """ begins a text of several',
    'lines, and """ ends it. A pasted text is one message, with all its lines.',
    "// begins a message with /, @@ one with @. @FILE sends the text in a file.",
]


# ---- completion


def completions(line: str, word: str) -> list[str]:
    """Return what Tab can complete `word` to; `line` is the text from the beginning of the line to its end.

    A word that begins the line with / is a command.  Any other is a path if it looks like one (~/x, ./x, a/b, @x), or
    if it is the FILE of /save.
    """
    if line == word and word.startswith("/"):
        return [name + " " for name in COMMANDS if name.startswith(word)]
    prefix = ""
    if word.startswith("@"):
        prefix = "@"
        word = word[1:]
    is_path = prefix or line.startswith("/save ") or "/" in word or os.sep in word
    if not is_path:
        return []
    return [prefix + path for path in paths_with_prefix(word)]


def paths_with_prefix(prefix: str) -> list[str]:
    """Return the paths that begin with `prefix`, a ~ included; folders end in a separator."""
    directory, name = os.path.split(prefix)
    try:
        entries = sorted(os.listdir(os.path.expanduser(directory) or "."))
    except OSError:
        return []
    paths = []
    for entry in entries:
        hidden = entry.startswith(".") and not name.startswith(".")
        # readline prints the names as they are
        if hidden or not entry.startswith(name) or entry != escape_control(entry):
            continue
        path = os.path.join(directory, entry)
        if os.path.isdir(os.path.expanduser(path)):
            path += os.sep
        paths.append(path)
    return paths
