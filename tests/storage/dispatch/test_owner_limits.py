"""An owner with a limit on calls gets no more of them, and keeps no other owner waiting."""

import importlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from storage.db.database import Database
from storage.dispatch.reserve import reserve_due, unreserve
from storage.errors import DayExhausted
from storage.fleet.daily_calls import calls_today
from storage.jobs.claim import claim_if_due
from storage.jobs.finish import finish_if_held, mark_storing_if_held
from storage.jobs.release import retry_later_if_held
from storage.owners.limits import set_owner_limits
from storage.records.call_outcome import CallOutcome
from tests.storage.table import FAULT, TableUnderTest


def sent(table: TableUnderTest, limit: int = 100) -> list[UUID]:
    """What goes out now."""
    return reserve_due(table.db, limit=limit, stale_after_s=60)


def owners_of(table: TableUnderTest, ids: Iterable[UUID]) -> list[str]:
    """Whose jobs these are, in order."""
    return [table.job(job_id).owner for job_id in ids]


@pytest.fixture
def two(table: TableUnderTest) -> TableUnderTest:
    """Ten jobs of each of two owners, of whom the shop may have three under way."""
    set_owner_limits(table.db, "shop", max_in_flight=3)
    for _ in range(10):
        table.accept(owner="shop")
        table.accept(owner="museum")
    return table


def test_no_more_than_the_limit_goes_out_and_others_get_the_rest(two: TableUnderTest) -> None:
    """However many calls are free."""
    out = owners_of(two, sent(two))
    assert (out.count("shop"), out.count("museum")) == (3, 10)
    assert sent(two) == []


def test_places_the_limit_leaves_free_are_used_by_others(two: TableUnderTest) -> None:
    """A window of eight goes out as eight."""
    out = owners_of(two, sent(two, limit=8))
    assert (out.count("shop"), out.count("museum")) == (3, 5)


def test_what_runs_and_what_was_sent_count_alike(two: TableUnderTest) -> None:
    """From sent to running nothing becomes free; what is given back does."""
    first = [job_id for job_id in sent(two) if two.job(job_id).owner == "shop"]
    two.claimed(first[0])
    two.claimed(first[1])
    assert sent(two) == []
    unreserve(two.db, [first[2]])
    assert owners_of(two, sent(two)) == ["shop"]
    assert sent(two) == []


def test_a_call_that_has_ended_makes_room(two: TableUnderTest) -> None:
    """Well or not; a picture on its way to the bucket is no call any more."""
    first, second, third = (j for j in sent(two) if two.job(j).owner == "shop")
    jobs = [two.claimed(job_id) for job_id in (first, second, third)]
    assert mark_storing_if_held(two.db, first, fence=1, images=two.image(jobs[0]))
    assert len(sent(two)) == 1
    assert finish_if_held(two.db, first, fence=1, images=two.image(jobs[0]))
    assert sent(two) == []
    assert retry_later_if_held(two.db, second, fence=1, delay_s=60, outcome=CallOutcome(FAULT))
    assert len(sent(two)) == 1


def test_batches_and_priorities_of_an_owner_share_one_limit(table: TableUnderTest) -> None:
    """The most urgent go first; an urgent backlog lets others' patient jobs through."""
    set_owner_limits(table.db, "shop", max_in_flight=2)
    table.batch(5, owner="shop")
    urgent = table.accept(owner="shop", priority=9)
    other = table.accept(owner="museum", priority=-9)
    out = sent(table)
    assert len(out) == 3
    assert (out[0], out[-1]) == (urgent, other)


def test_an_owner_who_may_have_none_has_none_called(table: TableUnderTest) -> None:
    """0 holds an owner's jobs without losing them; they go on when it is lifted."""
    set_owner_limits(table.db, "shop", max_in_flight=0)
    job_id = table.accept(owner="shop")
    assert sent(table) == []
    set_owner_limits(table.db, "shop", max_in_flight=None)
    assert sent(table) == [job_id]


def test_many_streams_of_a_limited_owner_hide_nobody(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than one look sees, wherever the round stands."""
    monkeypatch.setattr(importlib.import_module("storage.dispatch.fairness"), "MAX_STREAMS", 2)
    set_owner_limits(table.db, "shop", max_in_flight=0)
    for _ in range(7):
        table.batch(1, owner="shop")
    others = [table.accept(owner=f"o{number}") for number in range(3)]
    out = {job_id for _ in range(3) for job_id in sent(table)}
    assert out == set(others)


def test_who_hands_out_at_once_does_not_pass_the_limit(two: TableUnderTest) -> None:
    """The leader and every process that takes jobs in: together no more than one of them would."""

    def one(_number: int) -> list[UUID]:
        return reserve_due(two.db, limit=4, stale_after_s=60)

    with ThreadPoolExecutor(6) as threads:
        together = [job_id for ids in threads.map(one, range(24)) for job_id in ids]
    out = owners_of(two, [*together, *sent(two), *sent(two)])
    assert (out.count("shop"), out.count("museum")) == (3, 10)


def test_an_owner_being_handed_out_elsewhere_waits_for_nobody(two: TableUnderTest) -> None:
    """Others' jobs go out meanwhile, at once."""
    if two.db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: there is nothing to get past")
    other = Database(two.db._engine.url.render_as_string(hide_password=False))
    with other.begin() as connection:
        connection.execute(other.tables.owners.select().with_for_update())
        assert set(owners_of(two, sent(two))) == {"museum"}
    other.close()
    assert owners_of(two, sent(two)) == ["shop"] * 3


def calls_counted(table: TableUnderTest) -> list[tuple[str, int]]:
    """Owners whose calls were counted today."""
    daily = table.db.tables.owner_calls
    with table.db.read() as connection:
        return [(row.owner, row.calls) for row in connection.execute(daily.select())]


def test_a_days_calls_are_counted_with_the_claim_for_limited_owners_alone(
    table: TableUnderTest,
) -> None:
    """A claim that takes nothing counts nothing, and a repeated one nothing more."""
    set_owner_limits(table.db, "shop", max_calls_per_day=10)
    set_owner_limits(table.db, "museum", max_in_flight=10)
    ids = [table.accept(owner=owner) for owner in ("shop", "shop", "museum", "nobody")]
    token = uuid4()
    for _ in range(2):
        table.claimed(ids[0], token=token)
        assert table.claim(ids[0]) is None
    for job_id in ids[1:]:
        table.claimed(job_id)
    assert calls_counted(table) == [("shop", 2)]


def test_the_fleets_daily_limit_and_an_owners_are_counted_together(
    table: TableUnderTest,
) -> None:
    """In one transaction, with the claim."""
    set_owner_limits(table.db, "shop", max_calls_per_day=10)
    ids = [table.accept(owner="shop") for _ in range(2)]
    claims: dict[str, Any] = {"worker_id": uuid4(), "call_deadline_s": 60, "max_calls": 3}
    assert claim_if_due(table.db, ids[0], token=uuid4(), max_calls_per_day=1, **claims)
    with pytest.raises(DayExhausted):
        claim_if_due(table.db, ids[1], token=uuid4(), max_calls_per_day=1, **claims)
    assert calls_counted(table) == [("shop", 1)]
    assert calls_today(table.db) == 1


def test_an_owners_day_ends_with_the_last_call_it_allows(two: TableUnderTest) -> None:
    """Those sent are those that will be called: never one more; others go on."""
    set_owner_limits(two.db, "shop", max_in_flight=None, max_calls_per_day=4)
    first = sent(two, limit=6)
    assert owners_of(two, first).count("shop") == 3
    for job_id in first:
        two.finished(job_id)
    rest = sent(two)
    assert (owners_of(two, rest).count("shop"), owners_of(two, rest).count("museum")) == (1, 7)
    for job_id in rest:
        two.finished(job_id)
    assert sent(two) == []
    assert dict(calls_counted(two)) == {"shop": 4}


def test_the_next_day_an_owner_has_calls_again(two: TableUnderTest) -> None:
    """Yesterday's are yesterday's."""
    set_owner_limits(two.db, "shop", max_calls_per_day=2)
    for job_id in sent(two):
        two.finished(job_id)
    assert sent(two) == []
    daily = two.db.tables.owner_calls
    with two.db.begin() as connection:
        connection.execute(daily.update().values(day="2025-11-01"))
    assert owners_of(two, sent(two)) == ["shop"] * 2


def test_of_two_limits_the_tighter_holds(two: TableUnderTest) -> None:
    """Calls in flight are no more than the day has left, and the other way round."""
    set_owner_limits(two.db, "shop", max_in_flight=2, max_calls_per_day=9)
    assert owners_of(two, sent(two)).count("shop") == 2
    set_owner_limits(two.db, "shop", max_in_flight=9, max_calls_per_day=3)
    assert owners_of(two, sent(two)).count("shop") == 1


def test_many_claims_at_once_are_each_counted(table: TableUnderTest) -> None:
    """They meet at one row, and none is lost."""
    set_owner_limits(table.db, "shop", max_calls_per_day=100)
    ids = [table.accept(owner="shop") for _ in range(24)]
    with ThreadPoolExecutor(6) as threads:
        assert all(threads.map(table.claim, ids))
    assert calls_counted(table) == [("shop", 24)]


def test_many_streams_of_an_owner_being_handed_out_elsewhere_hide_nobody(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than one look sees; others' jobs go out at once."""
    if table.db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: there is nothing to get past")
    monkeypatch.setattr(importlib.import_module("storage.dispatch.fairness"), "MAX_STREAMS", 2)
    set_owner_limits(table.db, "shop", max_in_flight=9)
    for _ in range(7):
        table.batch(1, owner="shop")
    others = {table.accept(owner=f"o{number}") for number in range(2)}
    second = Database(table.db._engine.url.render_as_string(hide_password=False))
    with second.begin() as connection:
        connection.execute(second.tables.owners.select().with_for_update())
        assert {job_id for _ in range(3) for job_id in sent(table)} == others
    second.close()
