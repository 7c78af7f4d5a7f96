"""Carry what one command works with: its options, its query, its client, and where output goes."""

from typing import TYPE_CHECKING, NamedTuple, Optional

from ..client import Client
from .options import Options
from .query import Query
from .report import CallLog
from .terminal import Output, Stderr

if TYPE_CHECKING:
    from .conversation import ConversationFile


class Context(NamedTuple):
    """The parts of one command, from `run` to the function that prints.

    query           what to send; in a chat, its parameters for every message
    log             the calls of this command, for -v and --log
    conversation    the file of -c; None without it
    """

    options: Options
    query: Query
    client: Client
    stdout: Output
    stderr: Stderr
    log: CallLog
    conversation: "Optional[ConversationFile]" = None
