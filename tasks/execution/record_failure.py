"""Record a call without an image: write its outcome to the row and slow down or hold calls."""

import logging
from collections.abc import Callable

from playground.answers.verdict import Meaning, Verdict
from storage.db.database import Database
from storage.jobs.release import fail_if_held, retry_later_if_held
from storage.records.job import Job
from tasks.db_retry import persist
from tasks.execution.retry_policy import Decision, RetryPolicy
from tasks.throttling.call_gate import CallGate
from tasks.throttling.circuit_breaker import CircuitBreaker
from tasks.throttling.fleet_sync import FleetSync

__all__ = ["RecordFailure"]

log = logging.getLogger(__name__)


class RecordFailure:
    """End an attempt: the job is retried later, or it has failed."""

    def __init__(
        self,
        database: Database,
        *,
        policy: RetryPolicy,
        gate: CallGate,
        breaker: CircuitBreaker,
        fleet: FleetSync,
    ) -> None:
        self._database = database
        self._policy = policy
        self._gate = gate
        self._breaker = breaker
        self._fleet = fleet

    def record(
        self, job: Job, verdict: Verdict, *, started: float, on_locked: Callable[[], object]
    ) -> None:
        """Decide what follows from the verdict, and write the decision to the row.

        The circuit breaker counts the failure first. After a "too fast" answer the fleet is slowed
        down too.

        Args:
            job: the job as it was claimed.
            verdict: the verdict on its call; any meaning but `RECEIVED`.
            started: when the call began, by `time.monotonic()`.
            on_locked: called before a wait for a row that another transaction has locked.
        """
        others_succeed = self._breaker.failed(job.id, verdict, started=started)
        decision = self._policy.decide(verdict, job, others_succeed=others_succeed)
        log.info(
            "a call returned no image",
            extra={
                "job_id": str(job.id),
                "meaning": verdict.meaning.value,
                "code": verdict.code,
                "delay_s": decision.delay_s,
            },
        )
        if verdict.meaning is Meaning.TOO_FAST:
            self._fleet.too_fast(decision.hold_s)
        elif decision.hold_s:
            self._gate.hold(decision.hold_s)
        self.write(job, decision, on_locked=on_locked)

    def write(self, job: Job, decision: Decision, *, on_locked: Callable[[], object]) -> None:
        """Write a decision to the row, if this worker still holds the job at this fence."""
        outcome, delay_s = decision.outcome, decision.delay_s
        if delay_s is None:
            persist(
                lambda: fail_if_held(self._database, job.id, fence=job.fence, outcome=outcome),
                on_locked=on_locked,
            )
            return
        persist(
            lambda: retry_later_if_held(
                self._database, job.id, fence=job.fence, delay_s=delay_s, outcome=outcome
            ),
            on_locked=on_locked,
        )
