"""Define the states of a worker's pause, its waiting times and its cause."""

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["PauseTimes", "Trip", "WorkerState"]


class WorkerState(StrEnum):
    """List the states of a worker's pause: whether the failures are its own or the fleet's."""

    # Not paused. The state ends when calls fail in a row, and begins when one succeeds.
    RUNNING = "running"

    # Its calls failed in a row, and it is not known yet whether other workers succeed.
    UNDECIDED = "undecided"

    # Other workers succeed: this worker is paused alone, and sends probes.
    ALONE = "alone"

    # The breaker has paused the whole fleet after this worker paused.
    WITH_FLEET = "with the fleet"


@dataclass(frozen=True, slots=True)
class PauseTimes:
    """Hold the waiting times of a pause, by settings.

    Attributes:
        window_s: seconds that other workers may take to succeed before the fleet is paused.
        report_s: seconds by which their success may reach the table late: one heartbeat.
        share_wait_s: seconds that a worker waits when it resumes, if workers divide the fleet's
            limits among themselves: the others must first see that their parts are smaller.
        probe_first_s: seconds from a worker's first probe to its second; doubled for each further
            one.
        probe_most_s: the longest wait between two probes, in seconds.
    """

    window_s: float
    report_s: float
    share_wait_s: float
    probe_first_s: float
    probe_most_s: float

    @property
    def evidence_s(self) -> float:
        """Return the seconds after the first failure in which another worker may succeed."""
        return self.window_s + self.report_s


@dataclass(frozen=True, slots=True)
class Trip:
    """Describe what made the worker pause; times by `time.monotonic()`."""

    at: float
    first_failure_at: float
    code: str
    message: str
