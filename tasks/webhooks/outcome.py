"""Define the outcome of one attempt to deliver a webhook, as the delivery log stores it.

The sender returns an outcome, and the schedule derives the next step from it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Failure(StrEnum):
    """Lists why an attempt got no answer, as codes: the user who set the address reads the log."""

    #: The address, or an IP address of its host, must not be called.
    ADDRESS_REFUSED = "ADDRESS_REFUSED"
    #: The host name has no IP address, or its lookup timed out.
    DNS_FAILED = "DNS_FAILED"
    #: The connection was refused: no server listens on the port.
    CONNECT_REFUSED = "CONNECT_REFUSED"
    #: The TLS handshake failed, usually because the certificate is not for the host name.
    TLS_FAILED = "TLS_FAILED"
    #: No connection, or no response head, before the timeout.
    TIMEOUT = "TIMEOUT"
    #: The receiver closed the connection before it answered.
    CONNECTION_LOST = "CONNECTION_LOST"
    #: The answer is not valid HTTP.
    ANSWER_GARBLED = "ANSWER_GARBLED"
    #: The owner has no secret, and nothing is sent unsigned.
    NO_SECRET = "NO_SECRET"  # noqa: S105 - a code
    #: The job or batch has been deleted.
    FORGOTTEN = "FORGOTTEN"
    #: The broker did not accept the task.
    BROKER_AWAY = "BROKER_AWAY"
    #: The task's queue is not allowed.
    QUEUE_REFUSED = "QUEUE_REFUSED"
    #: The task's queue is not declared yet.
    QUEUE_MISSING = "QUEUE_MISSING"
    #: Any other network error.
    NETWORK_FAILED = "NETWORK_FAILED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Describes the result of one attempt.

    Attributes:
        answer: the HTTP status, or why there is none.
        latency_s: seconds from the attempt's start to its end, name lookup and reading included.
        first_bytes: the beginning of the answer's body, or as much of it as arrived.
        retry_after_s: the wait that the answer asks for; None if it asks for none.
    """

    answer: int | Failure
    latency_s: float
    first_bytes: bytes = b""
    retry_after_s: float | None = None

    @property
    def status(self) -> int | None:
        """Return the HTTP status; None without an answer."""
        return None if isinstance(self.answer, Failure) else self.answer

    @property
    def failure(self) -> Failure | None:
        """Return why there was no answer; None if there was one."""
        return self.answer if isinstance(self.answer, Failure) else None
