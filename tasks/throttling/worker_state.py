"""What a worker knows of its own trouble: the state of its pause, and how long to wait for what."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PauseTimes", "Trip", "WorkerState"]


class WorkerState(StrEnum):
    """Whose trouble it is that calls of this worker fail in a row."""

    # Nothing is wrong. Left when its calls fail in a row; entered when one succeeds.
    RUNNING = "running"

    # Its calls failed in a row, and how the others are doing is not known yet.
    UNDECIDED = "undecided"

    # Other workers succeed: this one is paused alone, and probes.
    ALONE = "alone"

    # The breaker has paused the whole fleet after this worker paused.
    WITH_FLEET = "with the fleet"


@dataclass(frozen=True, slots=True)
class PauseTimes:
    """How long to wait for what, by settings.

    Attributes:
        window_s: how long the others may take to succeed before the fleet is paused.
        report_s: how late a success of theirs may reach the table: their heartbeat.
        settle_s: where workers divide the fleet's limits among themselves, how long one that goes
            on waits until the others know that they have less.
        probe_first_s: from a worker's first probe to its second; doubled for each further one.
        probe_most_s: the longest wait between two probes.
    """

    window_s: float
    report_s: float
    settle_s: float
    probe_first_s: float
    probe_most_s: float

    @property
    def evidence_s(self) -> float:
        """How long to wait, after the first failure, for a success of another worker."""
        return self.window_s + self.report_s


@dataclass(frozen=True, slots=True)
class Trip:
    """What made the worker pause; times by `time.monotonic()`."""

    at: float
    first_failure_at: float
    code: str
    message: str
