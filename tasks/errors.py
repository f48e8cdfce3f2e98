"""Define the errors of this package: invalid batches, refused bulk changes, webhooks.

TaskError
├── LinesUnreadable     the whole file is invalid: empty, unknown column, truncated, not UTF-8
├── BatchFaulty         some lines are invalid
├── BatchKeyTaken       the key belongs to a batch with different content
├── QueueFull           the owner's limit on queued jobs is reached
├── StagingFailed       this machine's disk has no space for the checked lines
├── BatchLoading        a bulk change of a batch that is still loading
├── PaymentUnconfirmed  a retry that may pay twice, without the caller's agreement
├── ReceiverRefused     a webhook's address must not be called
├── ReceiverNotFound    the host name of a webhook's address cannot be resolved now
└── SecretUnusable      a signing secret has an invalid format
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from playground.errors import Fault

__all__ = [
    "BatchFaulty",
    "BatchKeyTaken",
    "BatchLoading",
    "LineFault",
    "LinesUnreadable",
    "PaymentUnconfirmed",
    "QueueFull",
    "ReceiverNotFound",
    "ReceiverRefused",
    "SecretUnusable",
    "StagingFailed",
    "TaskError",
]


@dataclass(frozen=True, slots=True, order=True)
class LineFault:
    """Describes why a line is invalid; reported, not raised.

    Attributes:
        line: its number, from 1.
        reason: a sentence that lists all faults.
        faults: the same by field, if the line could be parsed.
    """

    line: int
    reason: str
    faults: tuple[Fault, ...] = field(default=(), compare=False)

    def __str__(self) -> str:
        """Return the fault as one line of text."""
        return f"line {self.line}: {self.reason}"


class TaskError(Exception):
    """Base of the errors about submitted data, or about storing it."""


class LinesUnreadable(TaskError):
    """The file cannot be parsed into requests; the message completes "the file …"."""


class BatchFaulty(TaskError):
    """Some lines are invalid, and nothing was submitted.

    Attributes:
        faults: the first faults, by line.
        count: the number of invalid lines.
    """

    def __init__(self, faults: Sequence[LineFault], count: int) -> None:
        self.faults = tuple(faults)
        self.count = count
        more = [f"… and {count - len(self.faults)} more"] if count > len(self.faults) else []
        super().__init__("\n".join([*map(str, self.faults), *more]))


class BatchKeyTaken(TaskError):
    """The key was used before, for different content.

    Attributes:
        batch_id: the batch that has the key.
    """

    def __init__(self, key: str, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(f"the key {key!r} belongs to batch {batch_id}, made from another content")


class QueueFull(TaskError):
    """The owner's limit on queued jobs is reached.

    Attributes:
        owner: the owner.
    """

    def __init__(self, owner: str) -> None:
        self.owner = owner
        super().__init__("this owner has as many jobs queued as it may have")


class StagingFailed(TaskError):
    """The checked lines could not be written to the temporary file."""


class BatchLoading(TaskError):
    """The batch is still loading, so its jobs cannot be changed.

    Attributes:
        batch_id: the batch.
    """

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(f"batch {batch_id} is still loading; none of its jobs has begun")


class PaymentUnconfirmed(TaskError):
    """Jobs may have been paid for already, and the caller did not agree to pay again.

    Attributes:
        jobs: the jobs that would be retried.
        outcome_unknown: of them, those that may have been paid for.
        calls_expected: paid calls if no call fails.
        calls_at_most: the limit of paid calls.
    """

    def __init__(
        self, *, jobs: int, outcome_unknown: int, calls_expected: int, calls_at_most: int
    ) -> None:
        self.jobs = jobs
        self.outcome_unknown = outcome_unknown
        self.calls_expected = calls_expected
        self.calls_at_most = calls_at_most
        super().__init__(
            f"nothing was retried: {outcome_unknown} of {jobs} jobs may be paid for already, "
            f"and retrying costs {calls_expected} to {calls_at_most} calls"
        )


class ReceiverRefused(TaskError):
    """A webhook must not be sent to an address; the message completes "the address …".

    The message quotes only host, port and IP address: a path or query may contain a secret.
    """


class ReceiverNotFound(TaskError):
    """The host name of a webhook's address cannot be resolved now; a retry may succeed."""


class SecretUnusable(TaskError):
    """A signing secret violates the format of Standard Webhooks; the message omits it."""
