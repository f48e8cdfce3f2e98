"""The outcome of one call in the house's words, and the answer it is drawn from.

`judge.py` turns one into the other. What is done about a meaning (retry, slow down, pause, count)
is for the rooms above.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from playground.answers.png import Png


class Meaning(StrEnum):
    """What a call's end means for the job, the money and the fleet."""

    IN_HAND = "in_hand"  # at least one whole PNG: paid, store it
    USELESS = "useless"  # paid, and nothing usable came
    REFUSED = "refused"  # this request will never be served
    BLOCKED = "blocked"  # our key, our money, or one refused prompt
    NOT_THE_API = "not_the_api"  # something else answers at this address
    TOO_FAST = "too_fast"  # slow down; not paid
    NOT_PAID = "not_paid"  # failed, not paid as far as anyone can know
    UNKNOWN = "unknown"  # may have been paid


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole HTTP answer.

    Attributes:
        status: the HTTP status.
        headers: by name, in any case.
        body: decoded bytes.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one call came to.

    Attributes:
        meaning: the row of the table.
        code: a constant name for machines: the API's own where it gave one.
        message: words for people, at most 500 characters, the API's own where it gave some.
        retry_after_s: how long the API asks us to wait, if it said.
        images: the whole PNGs, in the API's order; empty unless the meaning is IN_HAND.
        is_foreign: whether a success brought nothing that the API sends, so that another server
            may have answered; the meaning is then UNKNOWN.
    """

    meaning: Meaning
    code: str
    message: str
    retry_after_s: float | None = None
    images: tuple[Png, ...] = ()
    is_foreign: bool = False
