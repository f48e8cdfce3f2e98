"""Define the verdict on one call, and the response from which it is derived.

`judge.py` derives it. How to act on a meaning (retry, slow down, pause, count) is decided in the
packages above.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from playground.answers.png import Png


class Meaning(StrEnum):
    """What a call's end means for the job, the money and the fleet."""

    RECEIVED = "received"  # at least one whole PNG: paid, store it
    USELESS = "useless"  # paid, without a usable image
    REFUSED = "refused"  # this request will never be served
    BLOCKED = "blocked"  # the key, the balance, or one refused prompt
    NOT_THE_API = "not_the_api"  # another server answers at this address
    TOO_FAST = "too_fast"  # slow down; not paid
    NOT_PAID = "not_paid"  # failed, not paid as far as can be known
    UNKNOWN = "unknown"  # may have been paid


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete HTTP response.

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
    """The verdict on one call.

    Attributes:
        meaning: the row of the table.
        code: a constant name for programs: the API's own if it sent one.
        message: a message for people, at most 500 characters: the API's own if it sent one.
        retry_after_s: how long the API asks the caller to wait, if it does.
        images: the whole PNGs, in the API's order; empty unless the meaning is RECEIVED.
        is_foreign: whether a success contained nothing that the API sends, so that another server
            may have answered; the meaning is then UNKNOWN.
    """

    meaning: Meaning
    code: str
    message: str
    retry_after_s: float | None = None
    images: tuple[Png, ...] = ()
    is_foreign: bool = False
