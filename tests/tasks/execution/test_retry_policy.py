"""What is done with a job after its call: the table, row by row."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.answers.verdict import Meaning, Verdict
from storage.records.job import Job, JobError
from storage.records.states import CallCount, EndCode
from tasks.execution.retry_policy import RetryPolicy

POLICY = RetryPolicy(
    max_attempts=4,
    max_useless_calls=1,
    max_unknown_calls=1,
    backoff_base_s=1.0,
    backoff_max_s=60.0,
    hold_s=15.0,
    uniform=lambda low, high: (low + high) / 2,
)


def job(**columns: Any) -> Job:
    """A claimed row, first attempt, with some columns changed."""
    blank: dict[str, Any] = {field.name: None for field in dataclasses.fields(Job)}
    counts = {name: 0 for name in blank if name.startswith("calls_")}
    return Job(**{**blank, **counts, "attempts": 1, "calls_made": 1, **columns})


def verdict(meaning: Meaning, code: str = "CODE", retry_after_s: float | None = None) -> Verdict:
    """A verdict without images."""
    return Verdict(
        meaning=meaning, code=code, message="words", retry_after_s=retry_after_s, images=()
    )


def decide(meaning: Meaning, *, others_succeed: bool = False, **columns: Any) -> Any:
    """The policy's decision about a job with these columns."""
    return POLICY.decide(verdict(meaning), job(**columns), others_succeed=others_succeed)


def test_a_refused_request_fails_for_good_and_keeps_the_apis_words() -> None:
    """Retrying a moderation refusal would only annoy."""
    decision = decide(Meaning.REFUSED)
    assert decision.delay_s is None
    assert decision.outcome.error == JobError("CODE", "words", "request")


def test_a_useless_answer_is_paid_counted_and_tried_once_more() -> None:
    """It cost money: the call is not given back."""
    first = decide(Meaning.USELESS)
    assert first.delay_s is not None
    assert (first.outcome.counted_as, first.outcome.call_counts) == (CallCount.USELESS, True)
    assert decide(Meaning.USELESS, calls_useless=1).delay_s is None


def test_an_unknown_outcome_is_counted_and_ends_as_such_at_its_limit() -> None:
    """The caller must not think that the call surely was free."""
    assert decide(Meaning.UNKNOWN).outcome.counted_as is CallCount.UNKNOWN
    last = decide(Meaning.UNKNOWN, calls_unknown=1)
    assert last.delay_s is None
    assert last.outcome.error.code == EndCode.OUTCOME_UNKNOWN
    assert "CODE" in last.outcome.error.message


def test_an_unknown_outcome_fails_at_once_where_the_limit_is_none() -> None:
    """`max_unknown_calls=0` is for those who must never risk paying twice."""
    strict = dataclasses.replace(POLICY, max_unknown_calls=0)
    decision = strict.decide(verdict(Meaning.UNKNOWN), job(), others_succeed=True)
    assert decision.delay_s is None


FOREIGN = dataclasses.replace(verdict(Meaning.UNKNOWN, "NO_PICTURE"), is_foreign=True)


@pytest.mark.parametrize("limit", [0, 1])
@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_a_success_that_may_be_another_servers_is_counted_and_ends_no_job(
    limit: int, unknown: int
) -> None:
    """Until a later call has succeeded: the attempt comes back, the call stays counted."""
    policy = dataclasses.replace(POLICY, max_unknown_calls=limit)
    row = job(calls_unknown=unknown, attempts=99)
    decision = policy.decide(FOREIGN, row, others_succeed=False)
    assert (decision.outcome.counted_as, decision.outcome.call_counts) == (CallCount.UNKNOWN, True)
    assert not decision.outcome.attempt_counts
    assert decision.delay_s is not None
    assert decision.hold_s == POLICY.hold_s
    assert decision.outcome.error.whose == "operator"


def test_it_is_an_unknown_outcome_like_others_once_a_later_call_has_succeeded() -> None:
    """The API answers others: then it says something about this job."""
    first = POLICY.decide(FOREIGN, job(), others_succeed=True)
    assert (first.outcome.counted_as, first.outcome.attempt_counts) == (CallCount.UNKNOWN, True)
    assert first.delay_s is not None
    last = POLICY.decide(FOREIGN, job(calls_unknown=1), others_succeed=True)
    assert last.delay_s is None
    assert last.outcome.error.code == EndCode.OUTCOME_UNKNOWN


def test_an_unpaid_failure_burns_an_attempt_but_no_call() -> None:
    """Nothing was charged, and others succeed: it says something about this job."""
    decision = decide(Meaning.NOT_PAID, others_succeed=True)
    outcome = decision.outcome
    assert (outcome.attempt_counts, outcome.call_counts, outcome.counted_as) == (True, False, None)
    assert decide(Meaning.NOT_PAID, others_succeed=True, attempts=4).delay_s is None


def test_an_outage_burns_nothing() -> None:
    """Where no job succeeds, a failure says nothing about the job."""
    decision = decide(Meaning.NOT_PAID, attempts=4)
    assert (decision.outcome.attempt_counts, decision.outcome.call_counts) == (False, False)
    assert decision.delay_s is not None


def test_too_fast_gives_everything_back_and_honours_retry_after() -> None:
    """A 429 says nothing about the job."""
    decision = POLICY.decide(
        verdict(Meaning.TOO_FAST, retry_after_s=30), job(attempts=99), others_succeed=True
    )
    assert (decision.outcome.attempt_counts, decision.outcome.call_counts) == (False, False)
    assert decision.hold_s == 30
    assert decision.delay_s is not None
    assert decision.delay_s >= 30


@pytest.mark.parametrize("meaning", [Meaning.BLOCKED, Meaning.NOT_THE_API])
def test_a_wrong_key_or_a_wrong_server_burns_nothing(meaning: Meaning) -> None:
    """A million jobs must outlive an expired key."""
    decision = decide(meaning, attempts=99)
    assert (decision.outcome.attempt_counts, decision.outcome.call_counts) == (False, False)
    assert decision.delay_s is not None
    assert decision.hold_s == POLICY.hold_s
    assert decision.outcome.error.whose == "operator"


def test_a_job_refused_again_while_others_succeed_fails_as_refused() -> None:
    """Then it is this request that the API will not serve, not our key."""
    before = JobError("CODE", "words", "operator")
    assert decide(Meaning.BLOCKED, error=before).delay_s is not None
    decision = decide(Meaning.BLOCKED, error=before, others_succeed=True)
    assert decision.delay_s is None
    assert decision.outcome.error.whose == "request"


@given(
    meaning=st.sampled_from([meaning for meaning in Meaning if meaning is not Meaning.RECEIVED]),
    attempts=st.integers(1, 10_000),
    unknown=st.integers(0, 10),
    useless=st.integers(0, 10),
    others_succeed=st.booleans(),
    is_foreign=st.booleans(),
)
def test_every_verdict_leads_to_a_bounded_decision(
    meaning: Meaning,
    attempts: int,
    unknown: int,
    useless: int,
    *,
    others_succeed: bool,
    is_foreign: bool,
) -> None:
    """Total, and no wait is longer than the settings say; what may be paid is never given back."""
    decision = POLICY.decide(
        dataclasses.replace(verdict(meaning), is_foreign=is_foreign and meaning is Meaning.UNKNOWN),
        job(attempts=attempts, calls_unknown=unknown, calls_useless=useless),
        others_succeed=others_succeed,
    )
    assert decision.delay_s is None or 0 <= decision.delay_s <= POLICY.backoff_max_s
    if meaning in {Meaning.UNKNOWN, Meaning.USELESS}:
        assert decision.outcome.call_counts


def test_backoff_doubles_up_to_its_bound() -> None:
    """With full jitter the mean is half of the ceiling."""
    waits = [POLICY.backoff_s(attempt) for attempt in (1, 2, 3, 7, 8, 5000)]
    assert waits == [0.5, 1.0, 2.0, 30.0, 30.0, 30.0]
