"""Define what a call without an image came to, as the row of its job records it."""

from __future__ import annotations

from dataclasses import dataclass

from storage.records.job import JobError
from storage.records.states import CallCount


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """Say what a call without an image came to.

    Attributes:
        error: Why there is no image; kept on the row until the job succeeds.
        attempt_counts: Whether the attempt is used up. Not after a 429, or while the fleet is
            paused: the answer says nothing about the job. A failed job keeps its attempts.
        call_counts: Whether the call stays counted; not if it is known not to have been paid.
        counted_as: The count of calls without a use that rises, if the call cost money.

    Raises:
        ValueError: A call cannot be both uncounted and counted without a use.
    """

    error: JobError
    attempt_counts: bool = True
    call_counts: bool = True
    counted_as: CallCount | None = None

    def __post_init__(self) -> None:
        """Refuse an outcome that contradicts itself."""
        if self.counted_as is not None and not self.call_counts:
            raise ValueError(f"a call cannot be both given back and counted as {self.counted_as}")
