"""A process's own part of the limits."""

import logging

import pytest

from tasks.rate_limit.local_share import LocalShare
from tasks.rate_limit.protocol import BudgetLimits, Demand
from tasks.rate_limit.worker_share import Place


@pytest.mark.parametrize(("limit", "count"), [(7, 2), (10, 3), (2, 5), (1, 1)])
def test_the_parts_make_the_whole(limit: int, count: int) -> None:
    """No slot is given twice, none is forgotten."""
    assert sum(Place(rank, count).part_of(limit) for rank in range(count)) == limit


def test_a_part_of_the_rate_is_exact() -> None:
    """A third of 30 a second, asked for unevenly over 10 s, is 100 starts and the first."""
    division = LocalShare(BudgetLimits(30.0, None), lambda: Place(1, 3), opens_at_s=0.0)
    now_s, given = 1000.0, 0
    while now_s < 1010.0:
        grant = division.exchange(Demand(0, 8, 0), now_s)
        given += grant.count
        now_s += max(0.001, grant.again_in_s)
    assert 100 <= given <= 102


def test_a_returned_token_is_due_at_once() -> None:
    """A claim that was lost makes room for the next start."""
    division = LocalShare(BudgetLimits(1.0, None), lambda: Place(0, 1), opens_at_s=0.0)
    assert division.exchange(Demand(0, 1, 0), 100.0).count == 1
    assert division.exchange(Demand(0, 1, 0), 100.1).count == 0
    assert division.exchange(Demand(0, 1, 1), 100.1).count == 1


def test_a_part_that_shrank_starts_nothing_until_calls_have_ended() -> None:
    """The process holds more than its part is now: others have joined."""
    division = LocalShare(BudgetLimits(None, 10), lambda: Place(0, 5), opens_at_s=0.0)
    assert division.exchange(Demand(6, 4, 0), 0.0).count == 0
    assert division.exchange(Demand(1, 4, 0), 0.0).count == 1


def test_a_newcomer_waits_until_it_has_been_seen() -> None:
    """The others' parts are still those of before it came."""
    division = LocalShare(BudgetLimits(None, 10), lambda: Place(1, 2), opens_at_s=5.0)
    early = division.exchange(Demand(0, 1, 0), 3.0)
    assert (early.count, early.again_in_s) == (0, 2.0)
    assert division.exchange(Demand(0, 1, 0), 5.0).count == 1


def test_a_worker_without_a_part_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two slots, three workers, no Redis: the third calls nothing, and its log tells why."""
    division = LocalShare(BudgetLimits(None, 2), lambda: Place(2, 3), opens_at_s=0.0)
    with caplog.at_level(logging.WARNING):
        assert [division.exchange(Demand(0, 1, 0), float(i)).count for i in range(3)] == [0, 0, 0]
    assert ["no call starts here" in record.message for record in caplog.records] == [True]
