"""What became of one attempt to deliver a webhook: what the delivery log keeps of it.

Made by the sender, judged by the schedule.
"""

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Why an attempt got no answer. Codes only: the log is read by whoever named the address."""

    #: The address, or one that its name leads to, must not be called.
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    #: The host name leads nowhere, or nobody said so in time.
    DNS_FAILED = "DNS_FAILED"
    #: Nobody listens there.
    CONNECT_REFUSED = "CONNECT_REFUSED"
    #: No secure connection: mostly a certificate that does not prove the host's name.
    TLS_FAILED = "TLS_FAILED"
    #: No connection, or no head of an answer, in time.
    TIMEOUT = "TIMEOUT"
    #: The other side closed the connection before it answered.
    CONNECTION_LOST = "CONNECTION_LOST"
    #: What came back is not HTTP.
    ANSWER_GARBLED = "ANSWER_GARBLED"
    #: Nothing is sent unsigned, and there is no secret to sign with.
    NO_SECRET = "NO_SECRET"  # noqa: S105 - a code
    #: What was to be sent has been deleted.
    FORGOTTEN = "FORGOTTEN"
    #: The broker did not take the task.
    BROKER_AWAY = "BROKER_AWAY"
    #: The task's queue is not one that a task may be sent to.
    QUEUE_REFUSED = "QUEUE_REFUSED"
    #: Nobody has declared the task's queue yet.
    QUEUE_MISSING = "QUEUE_MISSING"
    #: Anything else that networks do.
    NETWORK_FAILED = "NETWORK_FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt.

    Attributes:
        answer: the HTTP status, or why there is none.
        latency_s: seconds from the attempt's start to its end, name lookup and reading included.
        first_bytes: how the answer's body begins; what came of it, if it was cut short.
        retry_after_s: how long the answer asks us to wait; None if it does not.
    """

    answer: int | Failure
    latency_s: float
    first_bytes: bytes = b""
    retry_after_s: float | None = None

    @property
    def status(self) -> int | None:
        """The HTTP status, if there was an answer."""
        return None if isinstance(self.answer, Failure) else self.answer

    @property
    def failure(self) -> Failure | None:
        """Why there was no answer, if there was none."""
        return self.answer if isinstance(self.answer, Failure) else None
