"""The result of a row: the counts, and the promises that were broken."""

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["Result"]


@dataclass(slots=True)
class Result:
    """One line of the table.

    Attributes:
        fault: the row, as the table names it.
        runner: `darkroom`, or `textbook` for the plain Celery task compared with it.
        lost: accepted, and not ended, or succeeded without its object or with another SHA-256.
        stored_twice: objects of jobs that have another one on their row.
        charged: calls in the simulator's ledger.
        unknown: calls of unknown outcome, counted on rows.
        uncounted: charged calls that neither became the job's image nor were counted on its row.
        recover_s: from the fault's end (or from a death) until jobs moved on.
        before_per_s: images stored a second before the fault.
        after_per_s: the same after it.
        broken: promises that were not kept, a sentence each.
        skipped: why the row cannot run on this machine.
    """

    fault: str
    runner: str = "darkroom"
    jobs: int = 0
    failed: int = 0
    lost: int = 0
    stored_twice: int = 0
    charged: int = 0
    unknown: int = 0
    uncounted: int = 0
    recover_s: float | None = None
    before_per_s: float | None = None
    after_per_s: float | None = None
    peak_memory_mb: float = 0.0
    took_s: float = 0.0
    broken: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str | None = None

    @property
    def throughput(self) -> float | None:
        """Return the rate after the fault divided by that before; None if one was too short."""
        if not self.before_per_s or self.after_per_s is None:
            return None
        return self.after_per_s / self.before_per_s

    def as_json(self) -> dict[str, Any]:
        """Return plain values, including those computed."""
        return asdict(self) | {"throughput": self.throughput}
