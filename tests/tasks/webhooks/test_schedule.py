"""What follows an attempt: the specification's table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.schedule import (
    DELAYS_S,
    Delivered,
    Disabled,
    GivenUp,
    NextStep,
    TryAgain,
    next_step,
)

HOUR_S = 3600
LAST = len(DELAYS_S)


def without_jitter(low: float, _high: float) -> float:
    """The shortest wait."""
    return low


def step(answer: int | Failure, attempt: int = 1, retry_after_s: float | None = None) -> NextStep:
    """What follows, with the shortest wait."""
    outcome = Outcome(answer, 0.1, retry_after_s=retry_after_s)
    return next_step(outcome, attempt, uniform=without_jitter)


def test_the_waits_are_the_specifications() -> None:
    """5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h, and then no more."""
    steps = [step(500, attempt) for attempt in range(1, LAST + 1)]
    minutes = [300, 1800]
    hours = [hours * HOUR_S for hours in (2, 5, 10, 14, 20, 24)]
    assert steps == [*map(TryAgain, [5, *minutes, *hours]), GivenUp()]
    assert DELAYS_S[0] == 0


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("attempt", [1, LAST])
def test_any_2xx_is_delivered(status: int, attempt: int) -> None:
    """Also at the last attempt, and whatever else the answer says."""
    assert step(status, attempt, retry_after_s=60) == Delivered()


@pytest.mark.parametrize("attempt", [1, LAST])
def test_410_switches_the_receiver_off(attempt: int) -> None:
    """It says that it wants no more."""
    assert step(410, attempt, retry_after_s=60) == Disabled()


@pytest.mark.parametrize("answer", [100, 199, 300, 301, 307, 400, 404, 429, 500, 503, *Failure])
def test_everything_else_is_tried_again(answer: int | Failure) -> None:
    """A redirect, too: the address should be put right instead."""
    assert step(answer) == TryAgain(5)
    assert step(answer, LAST) == GivenUp()


def test_retry_after_prolongs_a_wait_and_never_shortens_it() -> None:
    """The receiver may ask for rest; it can't ask to be called more often."""
    assert step(429, 1, retry_after_s=120) == TryAgain(120)
    assert step(503, 4, retry_after_s=120) == TryAgain(2 * HOUR_S)
    assert step(503, 1, retry_after_s=0) == TryAgain(5)


def test_retry_after_is_bounded_and_starts_no_extra_attempt() -> None:
    """A receiver cannot keep a message in Darkroom's table for years."""
    assert step(429, 1, retry_after_s=1e9) == TryAgain(24 * HOUR_S)
    assert step(429, LAST, retry_after_s=60) == GivenUp()


def test_jitter_only_lengthens() -> None:
    """Messages that failed together come back apart, and none before its time."""
    delays = {
        following.delay_s
        for following in (next_step(Outcome(500, 0.1), 3) for _ in range(50))
        if isinstance(following, TryAgain)
    }
    assert len(delays) > 10
    assert all(1800 <= delay_s <= 1800 * 1.2 for delay_s in delays)


@given(
    answer=st.integers() | st.sampled_from(Failure),
    attempt=st.integers(),
    retry_after_s=st.none() | st.floats(),
)
def test_every_outcome_of_every_attempt_has_one_bounded_step(
    answer: int | Failure, attempt: int, retry_after_s: float | None
) -> None:
    """Total: infinities, nonsense and attempts beyond the schedule included."""
    following = next_step(Outcome(answer, 0.1, retry_after_s=retry_after_s), attempt)
    status = None if isinstance(answer, Failure) else answer
    match following:
        case Delivered():
            assert status in range(200, 300)
        case Disabled():
            assert status == 410
        case TryAgain(delay_s):
            assert 5 <= delay_s <= 24 * HOUR_S * 1.2
            assert attempt < LAST
        case GivenUp():
            assert attempt >= LAST
