"""What can go wrong with the paid API, as one tree.

    PlaygroundError
    ├── RequestInvalid      the producer's request breaks rules; nothing was sent
    ├── CallFailed          a call brought no complete answer
    │   ├── NotSent         the request never left us whole: not paid
    │   └── OutcomeUnknown  the request left us whole: it may have been charged
    ├── AnswerTooLarge      the answer is larger than we are willing to hold
    └── PngDamaged          these bytes are not a whole PNG

Exceptions of `requests`, `urllib3`, `http.client`, `ssl` and the socket become `CallFailed` in
`client/http_errors.py` and nowhere else. No message here carries a key, a header or a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class PlaygroundError(Exception):
    """Root of everything this room raises on purpose."""


class RequestInvalid(PlaygroundError):
    """A request broke at least one rule; all of its faults are told at once.

    Attributes:
        faults: every fault found, in the order of the API's parameters.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[RequestInvalid], tuple[tuple[Fault, ...]]]:
        """Survive pickling with the facts, not only with the sentence."""
        return type(self), (self.faults,)


class CallFailed(PlaygroundError):
    """A call ended without a complete answer.

    Attributes:
        code: a constant name for machines, such as `CONNECT_REFUSED`.
        message: a sentence for people, without secrets.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type[CallFailed], tuple[str, str]]:
        """Survive pickling with both facts."""
        return type(self), (self.code, self.message)


class NotSent(CallFailed):
    """The last byte of the request was never handed to the kernel, so nothing was charged."""


class OutcomeUnknown(CallFailed):
    """The whole request was sent and no whole answer came: it may have been charged.

    Attributes:
        received: what came of a success's body; it may hold a picture that is whole.
    """

    def __init__(self, code: str, message: str, received: bytes = b"") -> None:
        super().__init__(code, message)
        self.received = received


class AnswerTooLarge(PlaygroundError):
    """An answer exceeds the size this process is willing to hold.

    Attributes:
        limit_bytes: the bound that was set.
        size_bytes: what the answer announced, or None if it only kept coming.
    """

    def __init__(self, limit_bytes: int, size_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = size_bytes
        announced = "more" if size_bytes is None else f"{size_bytes} bytes"
        super().__init__(f"the answer has {announced}; at most {limit_bytes} bytes are read")

    def __reduce__(self) -> tuple[type[AnswerTooLarge], tuple[int, int | None]]:
        """Survive pickling with both facts."""
        return type(self), (self.limit_bytes, self.size_bytes)


class PngDamaged(PlaygroundError):
    """Bytes that should be a PNG are cut short, altered, or something else.

    Attributes:
        reason: what is wrong, in a few words.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not a whole PNG: {reason}")

    def __reduce__(self) -> tuple[type[PngDamaged], tuple[str]]:
        """Survive pickling without the prefix growing."""
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule of one request.

    Attributes:
        field: the parameter, with an index where it is a list (`prompt_rejection_topics[1]`).
        value: what was given, as Python would write it, at most 80 characters.
        rule: what is allowed.
    """

    field: str
    value: str
    rule: str

    def __str__(self) -> str:
        """One line: field, value, rule."""
        return f"{self.field} = {self.value}: must be {self.rule}"
