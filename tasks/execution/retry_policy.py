"""Decide what happens to a job after a call without an image: retry it when, or fail it.

The rules are the third column of the table "what an answer means". They are pure functions: from a
verdict and the job's row they compute a decision. The numbers are the operator's settings.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from playground.answers.verdict import Meaning, Verdict
from storage.records.call_outcome import CallOutcome
from storage.records.job import Job, JobError, Whose
from storage.records.states import CallCount, EndCode
from tasks.backoff import FULL_JITTER, backoff_s

__all__ = ["Decision", "RetryPolicy"]

#: Who has to act on each meaning, for the error that a user reads; the API where none is listed.
WHOSE: dict[Meaning, Whose] = {
    Meaning.REFUSED: "request",
    Meaning.BLOCKED: "operator",
    Meaning.NOT_THE_API: "operator",
}


@dataclass(frozen=True, slots=True)
class Decision:
    """Hold what to write to the row, and how long other calls wait.

    Attributes:
        outcome: what the call came to.
        delay_s: seconds until the job is due again; None if the job has failed.
        hold_s: seconds in which no other call of the process should start.
    """

    outcome: CallOutcome
    delay_s: float | None = None
    hold_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Decide by the settings how often and how soon a job is retried."""

    max_attempts: int
    max_useless_calls: int
    max_unknown_calls: int
    backoff_base_s: float
    backoff_max_s: float
    hold_s: float
    uniform: Callable[[float, float], float] = random.uniform

    def decide(self, verdict: Verdict, job: Job, *, others_succeed: bool) -> Decision:
        """Return the decision for a verdict of any meaning but `RECEIVED`.

        Args:
            verdict: the classified answer.
            job: the row as it was claimed, with this attempt and call counted.
            others_succeed: whether another call succeeded that was sent after this call began or,
                if the job failed before, after that failure.
        """
        whose = "operator" if verdict.is_foreign else WHOSE.get(verdict.meaning, "api")
        error = JobError(verdict.code, verdict.message, whose)
        match verdict.meaning:
            case Meaning.USELESS:
                decision = self._useless(error, job)
            case Meaning.UNKNOWN if verdict.is_foreign and not others_succeed:
                decision = self._maybe_foreign(error)
            case Meaning.UNKNOWN:
                decision = self._unknown(error, job)
            case Meaning.NOT_PAID:
                decision = self._not_paid(error, job, others_succeed=others_succeed)
            case Meaning.TOO_FAST:
                wait_s = max(verdict.retry_after_s or 0.0, self.backoff_base_s)
                decision = self._hold_all(error, wait_s)
            case Meaning.BLOCKED if others_succeed and _was_blocked(job, verdict):
                # The key works for other jobs, so the API refuses this request.
                decision = Decision(CallOutcome(replace(error, whose="request"), call_counts=False))
            case Meaning.BLOCKED | Meaning.NOT_THE_API:
                decision = self._hold_all(error, self.hold_s)
            case _:
                decision = Decision(CallOutcome(error))
        return decision

    def backoff_s(self, attempt: int) -> float:
        """Return the seconds to wait after the n-th attempt (from 1)."""
        return backoff_s(
            attempt - 1,
            base_s=self.backoff_base_s,
            cap_s=self.backoff_max_s,
            jitter=FULL_JITTER,
            uniform=self.uniform,
        )

    def _useless(self, error: JobError, job: Job) -> Decision:
        may_retry = job.calls_useless < self.max_useless_calls
        delay_s = self.backoff_s(job.attempts) if may_retry else None
        return Decision(CallOutcome(error, counted_as=CallCount.USELESS), delay_s)

    def _unknown(self, error: JobError, job: Job) -> Decision:
        if job.calls_unknown < self.max_unknown_calls:
            outcome = CallOutcome(error, counted_as=CallCount.UNKNOWN)
            return Decision(outcome, self.backoff_s(job.attempts))
        message = f"{error.message} ({error.code}); the call may have been charged"
        final = JobError(EndCode.OUTCOME_UNKNOWN, message, error.whose)
        return Decision(CallOutcome(final, counted_as=CallCount.UNKNOWN))

    def _maybe_foreign(self, error: JobError) -> Decision:
        """Retry the job later; this call may be paid and stays counted.

        While no later call has succeeded, the answer may come from a captive portal or a wrong
        address. Then it proves nothing about the job.
        """
        outcome = CallOutcome(error, attempt_counts=False, counted_as=CallCount.UNKNOWN)
        return replace(self._hold_all(error, self.hold_s), outcome=outcome)

    def _not_paid(self, error: JobError, job: Job, *, others_succeed: bool) -> Decision:
        """Count the attempt only if other calls succeed: else the fault may not be the job's."""
        delay_s = self.backoff_s(job.attempts)
        if not others_succeed:
            return Decision(_uncounted(error), delay_s)
        outcome = CallOutcome(error, call_counts=False)
        return Decision(outcome, None if job.attempts >= self.max_attempts else delay_s)

    def _hold_all(self, error: JobError, hold_s: float) -> Decision:
        """Hold all calls and do not count the attempt: the answer proves nothing about the job."""
        delay_s = self.uniform(hold_s, hold_s * 1.5)
        return Decision(_uncounted(error), delay_s, hold_s=hold_s)


def _uncounted(error: JobError) -> CallOutcome:
    return CallOutcome(error, attempt_counts=False, call_counts=False)


def _was_blocked(job: Job, verdict: Verdict) -> bool:
    return job.error is not None and job.error.code == verdict.code
