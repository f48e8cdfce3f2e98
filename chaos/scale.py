"""The size of a run, and how much its durations shrink against the matrix's.

The matrix is written for a lease of 20 s and outages of 20, 40 and 60 s; their proportions matter.
So a run chooses its lease, and every duration of the matrix shrinks with it. An outage that is
compared with no lease may shrink further, if a test suite has no time for it.
"""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "SMALL", "Scale"]

LEASE_OF_THE_MATRIX_S = 20.0


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of the whole matrix.

    Attributes:
        jobs: submitted by most rows.
        first_jobs: submitted by the first row.
        latency_s: shortest and longest call of the simulator.
        lease_s: stands for the 20 s of the defaults.
        calm_lease_s: the lease of rows in which no worker dies or is disconnected. A busy machine
            may stop a test's worker for longer than a short lease, and a rescue pays again.
        is_timed: whether promises in seconds are judged; in a test suite they are not.
        concurrency: calls in flight per worker.
        first_concurrency: the same in the first row, which needs 100 and more.
        is_canned: 1.5 MB pictures, prepared once; small painted ones otherwise.
        patience_s: how long a row may take to end all its jobs before they count as stuck.
        outage_share: the share that remains of outages that need not be longer than a lease.
    """

    name: str
    jobs: int
    first_jobs: int
    latency_s: tuple[float, float]
    lease_s: float
    calm_lease_s: float
    concurrency: int
    first_concurrency: int
    is_canned: bool
    patience_s: float
    is_timed: bool = True
    outage_share: float = 1.0

    @property
    def short_lease(self) -> dict[str, float]:
        """Return settings of a fleet whose workers die, or seem to: its leases are short."""
        return {"lease_s": self.lease_s}

    def shortened(self, matrix_s: float) -> float:
        """Return seconds of the matrix, shortened in proportion to the lease."""
        return matrix_s * self.lease_s / LEASE_OF_THE_MATRIX_S

    def outage_s(self, matrix_s: float) -> float:
        """Return how long an outage lasts that is compared with no lease."""
        return self.outage_share * self.shortened(matrix_s)


SMALL = Scale(
    *("small", 40, 90, (0.2, 0.4), 2.0, 20.0, 6, 16),
    is_canned=False,
    patience_s=150,
    is_timed=False,
    outage_share=0.4,
)
QUICK = Scale("quick", 120, 300, (0.5, 1.5), 2.5, 2.5, 24, 110, is_canned=True, patience_s=120)
FULL = Scale("full", 2_000, 10_000, (1.0, 3.0), 4.0, 4.0, 128, 128, is_canned=True, patience_s=600)
