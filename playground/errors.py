"""Define the errors of the paid API, as one tree.

    PlaygroundError
    ├── RequestInvalid      the producer's request breaks rules; nothing was sent
    ├── CallFailed          a call ended without a complete response
    │   ├── NotSent         the request was not sent completely: not paid
    │   └── OutcomeUnknown  the request was sent completely: it may have been charged
    ├── AnswerTooLarge      the response exceeds the limit for memory
    └── PngDamaged          these bytes are not a whole PNG

Exceptions of `requests`, `urllib3`, `http.client`, `ssl` and the socket become `CallFailed` in
`client/http_errors.py` and nowhere else. No message here contains a key, a header or a body.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class PlaygroundError(Exception):
    """Root of all errors that this package raises on purpose."""


class RequestInvalid(PlaygroundError):
    """A request broke at least one rule; all of its faults are reported together.

    Attributes:
        faults: every fault found, in the order of the API's parameters.
    """

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults: tuple[Fault, ...] = tuple(faults)
        super().__init__("; ".join(str(fault) for fault in self.faults))

    def __reduce__(self) -> tuple[type[RequestInvalid], tuple[tuple[Fault, ...]]]:
        """Pickle the faults as well as the message."""
        return type(self), (self.faults,)


class CallFailed(PlaygroundError):
    """A call ended without a complete response.

    Attributes:
        code: a constant name for programs, such as `CONNECT_REFUSED`.
        message: a sentence for people, without secrets.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(message)

    def __reduce__(self) -> tuple[type[CallFailed], tuple[str, str]]:
        """Pickle both attributes."""
        return type(self), (self.code, self.message)


class NotSent(CallFailed):
    """The last byte of the request was never written to the kernel, so nothing was charged."""


class OutcomeUnknown(CallFailed):
    """The whole request was sent and no whole response came: it may have been charged.

    Attributes:
        received: the received part of a success's body; it may contain a whole image.
    """

    def __init__(self, code: str, message: str, received: bytes = b"") -> None:
        super().__init__(code, message)
        self.received = received


class AnswerTooLarge(PlaygroundError):
    """A response exceeds the size that this process holds in memory.

    Attributes:
        limit_bytes: the limit that was set.
        size_bytes: the announced size, or None if it was not announced.
    """

    def __init__(self, limit_bytes: int, size_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = size_bytes
        announced = "more" if size_bytes is None else f"{size_bytes} bytes"
        super().__init__(f"the answer has {announced}; at most {limit_bytes} bytes are read")

    def __reduce__(self) -> tuple[type[AnswerTooLarge], tuple[int, int | None]]:
        """Pickle both attributes."""
        return type(self), (self.limit_bytes, self.size_bytes)


class PngDamaged(PlaygroundError):
    """Bytes that should be a PNG are truncated, altered, or something else.

    Attributes:
        reason: the fault, in a few words.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"not a whole PNG: {reason}")

    def __reduce__(self) -> tuple[type[PngDamaged], tuple[str]]:
        """Pickle the reason without repeating the message's prefix."""
        return type(self), (self.reason,)


@dataclass(frozen=True, slots=True)
class Fault:
    """One broken rule of one request.

    Attributes:
        field: the parameter, with an index if it is a list (`prompt_rejection_topics[1]`).
        value: the given value, as Python would write it, at most 80 characters.
        rule: what is allowed.
    """

    field: str
    value: str
    rule: str

    def __str__(self) -> str:
        """Return one line: field, value, rule."""
        return f"{self.field} = {self.value}: must be {self.rule}"
