"""The chat prompt: questions and answers in turns, and commands that begin with /."""
import contextlib
import os
import sys
from typing import Any, Callable, Optional

from .answer import answer
from .client import Client
from .config import CHAT_MODEL
from .errors import RawchatError, one_line
from .history import History, shown
from .lines import Read, editor, message
from .notes import Notes, colourful
from .output import Output
from .precedence import Options
from .prompt import UsageError, from_file
from .question import Question
from .record import Record
from .saved import Saved
from .urls import without_keys
from .window import turns

HELP = '''\
/system [TEXT]   show the instructions, or give others; @FILE reads them
/model [NAME]    show the model, or take another one
/retry           ask the last question again
/undo            forget the last turn
/reset           forget the conversation, but not the instructions
/save FILE       write the conversation to a new FILE
/tokens          how long the conversation is, and what was used
/help            show this
exit             leave; so do quit and Ctrl-D
Ctrl-C           stop the answer, or clear the line

A line that ends in \\ goes on in the next one. """ begins a text of several
lines, and """ ends it. What is pasted is one message, with all its lines.
// begins a message with /.'''
LEAVE = {"exit", "quit", "/exit", "/quit"}


class Talk:
    """A conversation at a terminal.

    history, model      what is talked about, and with whom
    say         lets a model answer the history: shows what comes, and adds it there
    read        gives the next line after a prompt, as `input` does
    out, notes  where answers go, and what there is to say beside them
    keep        called when a turn is finished, or taken back
    """

    def __init__(self, history: History, model: Any, say: Callable[[History, Any], Any], read: Read,
                 out: Output, notes: Notes, keep: Callable[[History], Any] = lambda history: None):
        self.history, self.model = history, model
        self._say, self._read, self._out, self._notes, self._keep = say, read, out, notes, keep
        self._unanswered: Optional[str] = None          # the last question, if it was stopped or failed
        self._files: set[str] = set()                   # that were written by /save

    def run(self, greeting: str) -> None:
        """Greet, and talk until the person leaves."""
        self._tell(greeting)
        going = True
        while going:
            with contextlib.suppress(KeyboardInterrupt):        # one that comes between two steps stops nothing
                going = self._step()

    def _step(self) -> bool:
        """Hear one message, and do what it says; False to leave."""
        try:
            text, quoted = message(self._read)
        except (KeyboardInterrupt, EOFError) as end:
            self._out.end()                 # below the line that was begun
            return isinstance(end, KeyboardInterrupt)
        if not quoted and text.strip() in LEAVE:
            return False
        try:
            self._obey(text, quoted)
        except KeyboardInterrupt:
            self._out.end()                 # below what the terminal shows of Ctrl-C
            self._notes.complain("stopped; the conversation is as it was before (/retry asks again)")
        except RawchatError as error:
            self._out.end_line()
            self._notes.complain(str(error))
        return True

    def _obey(self, text: str, quoted: bool) -> None:
        """Ask, or run a command."""
        if quoted or not text.startswith("/"):
            if text.strip():
                self._ask(text)
        elif text.startswith("//"):
            self._ask(text[1:])
        else:
            name, *rest = text.split(None, 1)
            if name not in COMMANDS:
                raise UsageError(f"no such command: {name} (/help lists them; // begins a message with /)")
            COMMANDS[name](self, "".join(rest).strip())

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
        starts = turns(self.history)
        if not starts:
            raise UsageError("nothing has been said yet")
        return starts[-1]

    def _tell(self, text: str) -> None:
        self._out.write(text)
        self._out.end()

    def system(self, text: str) -> None:
        """/system"""
        if text:
            self.history.system = from_file(text)
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
        self._tell(f"forgotten: {one_line(shown(self.history[start]), 60)}")
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
        Saved(path).save(self.history)
        self._files.add(path)
        self._tell(f"saved; --continue={path} goes on with it")

    def tokens(self, _: str) -> None:
        """/tokens"""
        used, size = self.history.usage, sum(map(self.history.sizes, self.history))
        self._tell(f"messages: {len(self.history)}, of about {size:.0f} tokens; "
                   f"answers in this session: {used.calls}, for {used.prompt} tokens sent and {used.completion} made")

    def help(self, _: str) -> None:
        """/help"""
        self._tell(HELP)


COMMANDS = {"/system": Talk.system, "/model": Talk.switch, "/retry": Talk.retry, "/undo": Talk.undo,
            "/reset": Talk.reset, "/save": Talk.save, "/tokens": Talk.tokens, "/help": Talk.help}


def talk(client: Client, question: Question, options: Options, out: Output, notes: Notes, record: Record,
         saved: Optional[Saved] = None) -> int:
    """Open the chat prompt: `question` has what is asked beside the messages.  Gives the exit code."""
    history = saved.history if saved else History()
    history[:] = question.content[:-1]
    extra, config = question.params["extra_body"], client.config

    def say(said: History, model: Any) -> None:
        params = {**question.params, "extra_body": {**extra, "model": model}}
        try:
            answer(client, question._replace(params=params), options, out, notes, record, said)
        finally:
            record.tell()                   # else the seconds of one that failed would count for the next one

    model = extra.get("model") or config.model or CHAT_MODEL
    colour = colourful(options.color or "auto", os.environ, terminal=True)
    earlier = [shown(each) for each in history if each["role"] == "user"]
    read = editor(sys.stdin, colour, os.environ.get("TERM") == "dumb", earlier)
    begun = f", turns so far: {len(turns(history))}" if turns(history) else ""
    Talk(history, model, say, read, out, notes, saved.save if saved else lambda history: None).run(
        f"{model} at {without_keys(config.base_url)}{begun}; /help shows how, Ctrl-D leaves")
    return 0
