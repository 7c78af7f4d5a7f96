"""Is an answer what was asked for?  The exit code says it, and a line on standard error what its text does not show."""

from typing import Optional

from .errors import APIResponseValidationError
from .notes import Notes
from .precedence import Options
from .question import Question
from .refusals import objects
from .reply import Reply

CUT, UNFIT, HARMFUL = 9, 10, 11  # exit codes


def verdict(whole: Reply, question: Question, options: Options, notes: Notes) -> int:
    """The exit code of an answer that came."""
    reasons = [choice.get("finish_reason") for choice in whole.choices]
    cut = [reason for reason in ("length", "content_filter") if reason in reasons]
    wrong = unfit(whole, question)
    if cut:
        notes.complain(
            f"the answer was cut ({cut[0]})"
            + ("; --max-tokens allows more" if "length" in cut else "")
        )
    elif whole.message.get("refusal"):
        notes.complain(f"the model refused: {whole.message['refusal']}")
    elif wrong:
        notes.complain(f"the answer does not fit: {wrong}")
    elif whole.tool_calls and not whole.text:
        notes.complain("the answer is tool calls, no text; --json shows them")
    if question.kind == "moderate":
        results = objects(whole.get("results"))
        if not results or any(
            "flagged" not in result for result in results
        ):  # 0 would say that it is harmless
            raise APIResponseValidationError("the reply holds no verdict")
        if whole.flagged:
            return HARMFUL
    return UNFIT if wrong else CUT if cut and options.strict else 0


def unfit(whole: Reply, question: Question) -> Optional[str]:
    """What does not fit in the first answer that is not as --schema or --json-mode want it."""
    if question.wanted is None:
        return None
    from .fit import misfit  # here, not above: few commands need them
    from .typed import MismatchError, decode

    for text in whole.texts or [""]:
        try:
            wrong = misfit(decode(bare(text)), question.wanted)
        except MismatchError as error:
            wrong = str(error)
        if wrong:
            return wrong
    return None


def bare(text: str) -> str:
    """JSON without the fence that some models put around it."""
    from .typed import FENCED

    fenced = FENCED.fullmatch(text)
    return fenced[1] if fenced else text
