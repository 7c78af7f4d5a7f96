"""Structured output with choices: is a comment fit to be shown, and if not, why?"""

import enum
from dataclasses import dataclass
from typing import Optional

import rawchat


class Category(enum.Enum):
    VIOLENCE = "violence"
    INSULT = "insult"
    SPAM = "spam"


@dataclass
class Review:
    """A verdict on a comment."""

    fit: bool
    category: Optional[Category]


try:
    review = rawchat.parse("Review this comment: Buy cheap watches!!!", into=Review, temperature=0)
    print(
        "fit"
        if review.fit
        else f"unfit: {review.category.value if review.category else 'no reason given'}"
    )
except (rawchat.APIResponseValidationError, rawchat.LengthFinishReasonError) as error:
    print(f"no verdict: {error}; it said: {error.reply.text!r}")
