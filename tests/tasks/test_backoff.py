"""How long to wait before the next try."""

import pytest

from tasks.backoff import FULL_JITTER, HALF_JITTER, NO_JITTER, backoff_s
from tests.cases.backoff import BACKOFF_CASES


@pytest.mark.parametrize(("failures", "base_s", "cap_s", "wait_s"), BACKOFF_CASES)
@pytest.mark.parametrize("jitter", [FULL_JITTER, HALF_JITTER, NO_JITTER, (1.0, 1.2)])
def test_a_wait_doubles_up_to_its_cap_and_is_drawn_within_its_jitter(
    failures: int, base_s: float, cap_s: float, wait_s: float, jitter: tuple[float, float]
) -> None:
    """Both ends of the range are reached."""
    low, high = (
        backoff_s(failures, base_s=base_s, cap_s=cap_s, jitter=jitter, uniform=draw)
        for draw in (min, max)
    )
    assert (low, high) == pytest.approx((jitter[0] * wait_s, jitter[1] * wait_s))


def test_waits_double_up_to_their_bound_and_are_never_nothing() -> None:
    """Half of it is by chance, so that those that failed together come back apart."""
    for failures, longest_s in ((0, 0.5), (1, 1.0), (3, 4.0), (6, 30.0), (10**6, 30.0)):
        waits = [backoff_s(failures, base_s=0.5, cap_s=30.0, jitter=HALF_JITTER) for _ in range(50)]
        assert longest_s / 2 <= min(waits)
        assert max(waits) <= longest_s
        assert len(set(waits)) > 1
