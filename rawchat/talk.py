"""The chat prompt: question and answer in turns, and commands that begin with /.

>>> from unittest.mock import Mock
>>> typed = iter(["a line that goes \\\\", "on", '"""of', 'a block"""', "pasted\\ntext"])
>>> [heard(lambda prompt: next(typed)).text for _ in range(3)]
['a line that goes \\non', 'of\\na block', 'pasted\\ntext']
"""
from collections.abc import Sequence
from typing import Any, Callable, NamedTuple, Optional

from .errors import RawchatError
from .history import History, shown
from .output import Output
from .prompt import UsageError
from .reply import Reply
from .window import Message, turns

HELP = '''\
/system [TEXT]   show the instructions, or give others
/model [NAME]    show the model, or take another one
/retry           ask the last question again
/undo            forget the last turn
/reset           forget the conversation, but not the instructions
/save FILE       keep the conversation in FILE; --continue=FILE goes on with it
/tokens          how long the conversation is, and what has been used
/help            this
exit             or quit, or Ctrl-D: leave
Ctrl-C           stop the answer, or clear the line

A line that ends in \\ goes on in the next one. """ begins a text of several
lines and """ ends it. What is pasted is one message. A message that begins
with / is sent with //.'''
PROMPT, MORE = "> ", ". "
BLOCK = '"""'
