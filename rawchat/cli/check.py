"""Check an answer that arrived: whether it is whole, has the form that was asked for, and is harmless.

`check_answer` prints one line on what is wrong with it, and returns the exit code.
"""

import re
from typing import Optional

from ..errors import APIResponseValidationError
from ..reply import Reply, only_dicts
from .context import Context
from .query import Query

# exit codes; the others belong to errors, in `cli.exit_code`
EXIT_TRUNCATED = 9
EXIT_SCHEMA = 10
EXIT_FLAGGED = 11

#: finish reasons of an answer that is complete; some servers send none
COMPLETE = ("stop", "tool_calls", "function_call", None)

# The line that begins a fenced code block, in a list too: its indentation, and its fence (CommonMark 0.31, 4.5).
OPENING_FENCE = re.compile("([ \t]*)(`{3,}|~{3,})[^`\n]*")


def check_answer(context: Context, reply: Reply) -> int:
    """Print one line on what is wrong with an answer, and return the exit code.

    With --strict, a refusal, an answer that was cut and an unusual finish reason are not a success.

    Raises APIResponseValidationError for a moderation without a result: 0 would say that the text is harmless.
    """
    stderr = context.stderr
    shortfall = describe_shortfall(reply)
    mismatch = schema_error(reply, context.query)
    no_block = context.options.extract and None in map(first_fenced_block, reply.texts)
    if shortfall:
        stderr.warn(shortfall)
    elif mismatch:
        stderr.warn(f"the answer does not fit: {mismatch}")
    elif no_block:
        stderr.warn("the answer holds no fenced code block, and is printed as it is")
    elif reply.tool_calls and not reply.text:
        stderr.warn("the answer is tool calls, no text; --json shows them")

    if context.query.kind == "moderate" and is_flagged(reply):
        return EXIT_FLAGGED
    if mismatch or no_block:
        return EXIT_SCHEMA
    if shortfall and context.options.strict:
        return EXIT_TRUNCATED
    return 0


def describe_shortfall(reply: Reply) -> Optional[str]:
    """Return why one of the choices is no full answer, None if all are: cut short, refused, or an unknown reason."""
    reasons = [choice.get("finish_reason") for choice in reply.choices]
    if "length" in reasons:
        return "the answer was cut (length); --max-tokens allows more"
    if "content_filter" in reasons:
        return "the answer was cut (content_filter)"
    for choice in reply.choices:
        message = choice.get("message")
        if isinstance(message, dict) and message.get("refusal"):
            return f"the model refused: {message['refusal']}"
    for reason in reasons:
        if reason not in COMPLETE:
            return f"the answer ended for an unusual reason: {reason}"
    return None


def schema_error(reply: Reply, query: Query) -> Optional[str]:
    """Return what does not fit in the first choice that is not as --schema or --json-mode want it, None if all fit."""
    if query.schema is None:
        return None
    # here, not above: few commands need them
    from ..schema.build import MismatchError, decode_json, find_json
    from ..schema.validate import first_error

    for text in reply.texts or [""]:
        try:
            value = decode_json(find_json(text))
        except MismatchError as error:
            return str(error)
        mismatch = first_error(value, query.schema)
        if mismatch:
            return mismatch
    return None


def is_flagged(reply: Reply) -> bool:
    """Return whether a moderation found the text harmful; raise APIResponseValidationError if it does not say."""
    results = only_dicts(reply.get("results"))
    if not results:
        raise APIResponseValidationError("moderation response without 'flagged'")
    for result in results:
        if "flagged" not in result:
            raise APIResponseValidationError("moderation response without 'flagged'")
    return reply.flagged


# ---- --extract


def first_fenced_block(text: str) -> Optional[str]:
    """Return the content of the first fenced code block of a Markdown text, None if there is none.

    CommonMark 0.31, 4.5: the fence that ends a block is at least as long as the one that begins it; without one the
    block lasts to the end of the text.  Lines lose as much indentation as the first fence has.
    """
    block: Optional[list[str]] = None
    indent = fence = ""
    for line in text.splitlines():
        if block is None:
            opening = OPENING_FENCE.fullmatch(line)
            if opening:
                indent, fence = opening.groups()
                block = []
        elif line.strip().strip(fence[0]) == "" and line.strip().startswith(fence):
            break
        else:
            block.append(line[len(indent) :] if line.startswith(indent) else line.lstrip())
    if block is None:
        return None
    return "\n".join(block)
