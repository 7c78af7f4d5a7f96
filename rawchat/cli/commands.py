"""A conversation at a prompt: what each thing that a person says there does, questions and commands."""

import os
from typing import Any, Callable, NamedTuple, Optional

from ..errors import one_line
from ..history import History, text_of
from ..history.window import turn_starts
from .conversation import ConversationFile
from .inputs import UsageError, expand_at_file


class Session:
    """A conversation, and the model that it is with.

    say         lets a model answer the history: shows what comes, and adds it there
    tell        shows a text
    keep        is called when a turn is finished, or taken back
    """

    def __init__(
        self,
        history: History,
        model: Any,
        say: Callable[[History, Any], Any],
        tell: Callable[[str], Any],
        keep: Callable[[History], Any] = lambda history: None,
    ):
        self.history, self.model = history, model
        self._say, self._tell, self._keep = say, tell, keep
        self._unanswered: Optional[str] = None  # the last question, if it was stopped or failed
        self._files: set[str] = set()  # that were written by /save

    def handle(self, text: str, quoted: bool) -> None:
        """Do what was said; what is `quoted` is no command.  Raises RawchatError, and then nothing has changed."""
        if quoted or not text.startswith("/"):
            if text.strip():
                self._ask(text)
        elif text.startswith("//"):
            self._ask(text[1:])
        else:
            name, *rest = text.split(None, 1)
            if name not in COMMANDS:
                raise UsageError(
                    f"no such command: {name} (/help lists them; // begins a message with /)"
                )
            COMMANDS[name].run(self, "".join(rest).strip())

    def _ask(self, question: str) -> None:
        self._unanswered = question
        self._turn(question, len(self.history))

    def _turn(self, question: Any, start: int) -> None:
        """One turn, in the place of what there is from `start` on; if it fails or is stopped, that stays."""
        with self.history.turn():
            self.history[start:] = [{"role": "user", "content": question}]
            self._say(self.history, self.model)
        self._unanswered = None
        self._keep(self.history)

    def _last(self) -> int:
        """Where the last turn starts."""
        starts = turn_starts(self.history)
        if not starts:
            raise UsageError("nothing has been said yet")
        return starts[-1]

    def system(self, text: str) -> None:
        """/system"""
        if text:
            self.history.system = expand_at_file(text)
            self._keep(self.history)
        else:
            self._tell(self.history.system or "no instructions; /system TEXT gives some")

    def switch(self, name: str) -> None:
        """/model"""
        self.model = name or self.model
        self._tell(f"model: {self.model}")

    def retry(self, _: str) -> None:
        """/retry"""
        if self._unanswered is not None:
            self._ask(self._unanswered)
        else:
            start = self._last()
            if self.history[start]["role"] != "user":
                raise UsageError("nothing has been asked yet")
            self._turn(self.history[start]["content"], start)

    def undo(self, _: str) -> None:
        """/undo"""
        start = self._last()
        self._tell(f"forgotten: {one_line(text_of(self.history[start]), 60)}")
        del self.history[start:]
        self._keep(self.history)

    def reset(self, _: str) -> None:
        """/reset"""
        self.history.clear()
        self._unanswered = None
        self._tell("the conversation is forgotten")
        self._keep(self.history)

    def save(self, path: str) -> None:
        """/save"""
        if not path:
            raise UsageError("/save FILE: where to?")
        path = os.path.abspath(os.path.expanduser(path))
        if os.path.lexists(path) and path not in self._files:
            raise UsageError(f"{path} is there already: choose another name")
        ConversationFile(path).save(self.history)
        self._files.add(path)
        self._tell(f"saved; --continue={path} goes on with it")

    def tokens(self, _: str) -> None:
        """/tokens"""
        used, size = self.history.usage, sum(map(self.history.sizes, self.history))
        self._tell(
            f"messages: {len(self.history)}, of about {size:.0f} tokens; "
            f"answers in this session: {used.calls}, for {used.prompt} tokens sent and {used.completion} made"
        )

    def help(self, _: str) -> None:
        """/help"""
        lines = [
            f"{name} {command.takes}".ljust(17) + command.help for name, command in COMMANDS.items()
        ]
        self._tell("\n".join([*lines, *KEYS_HELP]))


class Command(NamedTuple):
    """What a word with / does."""

    run: Callable[[Session, str], None]
    takes: str  #: what may stand behind it
    help: str


COMMANDS = {
    "/system": Command(
        Session.system, "[TEXT]", "show the instructions, or give others; @FILE reads them"
    ),
    "/model": Command(Session.switch, "[NAME]", "show the model, or take another one"),
    "/retry": Command(Session.retry, "", "ask the last question again"),
    "/undo": Command(Session.undo, "", "forget the last turn"),
    "/reset": Command(Session.reset, "", "forget the conversation, but not the instructions"),
    "/save": Command(Session.save, "FILE", "write the conversation to a new FILE"),
    "/tokens": Command(Session.tokens, "", "how long the conversation is, and what was used"),
    "/help": Command(Session.help, "", "show this"),
}


KEYS_HELP = [
    "exit             leave; so do quit and Ctrl-D",
    "Ctrl-C           stop the answer, or clear the line",
    "",
    'A line that ends in \\ goes on in the next one. """ begins a text of several',
    'lines, and """ ends it. What is pasted is one message, with all its lines.',
    "// begins a message with /.",
]
