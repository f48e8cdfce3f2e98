"""The fleet's one row: pauses with a kind, slow-downs, probes; and the day's calls."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from storage.db.database import Database
from storage.errors import DayExhausted
from storage.fleet.daily_calls import calls_today, forget_days
from storage.fleet.leases import WorkerInfo, register_worker
from storage.fleet.pause import PauseKind, end_pause_if_over, pause_fleet, resume_fleet, take_probe
from storage.fleet.state import fleet_state
from storage.fleet.throttle import slow_down, speed_up
from storage.fleet.worker_calls import CallReport, report_calls
from storage.intake.insert import insert_job
from storage.jobs.claim import claim_if_due
from storage.owners.limits import set_owner_limits
from storage.records.job import NewJob
from storage.schema.clock import after


def pause(db: Database, kind: PauseKind = PauseKind.BREAKER) -> bool:
    """Pause for a reason."""
    return pause_fleet(db, kind, code="HTTP_500", message="the API is down")


def test_a_new_fleet_runs_at_full_speed(db: Database) -> None:
    """Nothing is paused, held or slowed."""
    state = fleet_state(db)
    assert (state.pause, state.held_s, state.share) == (None, 0.0, 1.0)


def test_a_pause_is_begun_once_and_keeps_its_first_reason(db: Database) -> None:
    """Of many workers that notice the same thing, one begins the pause."""
    assert pause(db)
    assert not pause_fleet(db, PauseKind.BREAKER, code="OTHER", message="")
    found = fleet_state(db).pause
    assert found is not None
    assert (found.kind, found.code, found.message) == (
        PauseKind.BREAKER,
        "HTTP_500",
        "the API is down",
    )


def test_an_operators_pause_replaces_any_other_and_is_not_lifted_by_a_success(
    db: Database,
) -> None:
    """Who said pause must be able to rely on it."""
    pause(db)
    assert pause_fleet(db, PauseKind.OPERATOR, code="PAUSED", message="deploy")
    assert not pause_fleet(db, PauseKind.OPERATOR, code="PAUSED", message="again")
    assert not resume_fleet(db, kind=PauseKind.BREAKER)
    assert resume_fleet(db)
    assert not resume_fleet(db)
    assert fleet_state(db).pause is None


def test_one_caller_gets_the_probe_and_the_next_is_later(db: Database) -> None:
    """A probe is a real job and may cost money."""
    pause(db)
    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(take_probe, db, first_s=60, most_s=600) for _ in range(8)]
    assert sum(answer.result() for answer in asked) == 1


def test_only_a_breakers_pause_is_probed(db: Database) -> None:
    """An operator's pause lets nothing through."""
    assert not take_probe(db, first_s=1, most_s=1)
    pause(db, PauseKind.OPERATOR)
    assert not take_probe(db, first_s=1, most_s=1)


def test_a_worker_that_paused_itself_gets_a_probe_only_where_all_others_have(db: Database) -> None:
    """Live ones count, whatever they say of their successes; dead ones do not."""

    def worker(lease_s: float, paused_s: float | None) -> UUID:
        worker_id = uuid4()
        register_worker(db, WorkerInfo(worker_id, "here", 1, "0", 4, lease_s))
        report_calls(db, worker_id, CallReport(paused_s=paused_s))
        return worker_id

    pause(db)
    failing, healthy = worker(60, 1.0), worker(60, None)
    worker(-1, None)
    assert not take_probe(db, first_s=0, most_s=0, paused_worker=failing)
    assert take_probe(db, first_s=0, most_s=0)
    report_calls(db, healthy, CallReport(paused_s=1.0))
    assert take_probe(db, first_s=0, most_s=0, paused_worker=failing)


def test_probes_grow_further_apart_for_ever(db: Database) -> None:
    """Doubling any number of times breaks nothing."""
    pause(db)
    assert all(take_probe(db, first_s=0, most_s=0) for _ in range(40))


def test_a_pause_with_an_end_is_lifted_when_it_is_over(db: Database) -> None:
    """The day's calls come back by themselves."""
    pause_fleet(db, PauseKind.BUDGET, code="DAY_EXHAUSTED", message="", for_s=3600)
    assert not end_pause_if_over(db)
    resume_fleet(db)
    pause_fleet(db, PauseKind.BUDGET, code="DAY_EXHAUSTED", message="", for_s=-1)
    assert end_pause_if_over(db)
    assert fleet_state(db).pause is None


def test_many_slow_downs_at_once_halve_the_share_once(db: Database) -> None:
    """A thousand calls in flight hear the same 429."""
    for _ in range(5):
        slow_down(db, hold_s=30)
    state = fleet_state(db)
    assert state.share == 0.5
    assert 20 < state.held_s <= 30


def test_a_shorter_hold_does_not_shorten_one_in_force(db: Database) -> None:
    """The longest `Retry-After` counts."""
    slow_down(db, hold_s=100)
    slow_down(db, hold_s=1)
    assert fleet_state(db).held_s > 50


def test_speed_comes_back_only_after_the_hold(db: Database) -> None:
    """Step by step, and never beyond full speed."""
    assert not speed_up(db)
    slow_down(db, hold_s=100)
    set_fleet(db, share_changed_at=after(-60.0))
    assert not speed_up(db)
    assert fleet_state(db).share == 0.5


def test_the_days_calls_hold_exactly_under_any_concurrency(db: Database) -> None:
    """Counted with the claim: never one more, and a claim that fails gives its place back."""
    jobs = [
        insert_job(db, NewJob(id=uuid4(), request={"prompt": "x"}, request_hash="h")).job
        for _ in range(20)
    ]

    def claim(number: int) -> bool:
        try:
            claimed = claim_if_due(
                db,
                jobs[number % 20].id,
                worker_id=uuid4(),
                token=uuid4(),
                call_deadline_s=60,
                max_calls=3,
                max_calls_per_day=7,
            )
        except DayExhausted:
            return False
        return claimed is not None

    with ThreadPoolExecutor(8) as threads:
        claimed = sum(threads.map(claim, range(40)))
    assert claimed == 7
    assert calls_today(db) == 7


def test_a_claim_that_takes_nothing_costs_nothing_of_the_day(db: Database) -> None:
    """The count is rolled back with the claim."""
    nobody = claim_if_due(
        db,
        uuid4(),
        worker_id=uuid4(),
        token=uuid4(),
        call_deadline_s=60,
        max_calls=3,
        max_calls_per_day=1,
    )
    assert nobody is None
    assert calls_today(db) == 0


@pytest.mark.parametrize("kind", list(PauseKind))
def test_every_kind_of_pause_can_be_kept_and_read(db: Database, kind: PauseKind) -> None:
    """The enum and the column agree."""
    assert pause(db, kind)
    found = fleet_state(db).pause
    assert found is not None
    assert found.kind is kind


def set_fleet(db: Database, **values: object) -> None:
    """Set columns of the fleet's row by hand."""
    with db.begin() as connection:
        connection.execute(db.tables.fleet.update().values(**values))


def test_speed_comes_back_step_by_step_and_once_a_second(db: Database) -> None:
    """Up to full speed and no further, where there is nothing left to give back."""
    slow_down(db, hold_s=-1.0)
    assert not speed_up(db), "the share has changed just now"
    long_ago = after(-60.0)
    set_fleet(db, share_changed_at=long_ago)
    assert speed_up(db)
    assert fleet_state(db).share == pytest.approx(0.55)
    assert not speed_up(db)
    set_fleet(db, share_changed_at=long_ago, share=0.97)
    assert speed_up(db)
    assert fleet_state(db).share == 1.0
    set_fleet(db, share_changed_at=long_ago)
    assert not speed_up(db)


def test_speed_comes_back_where_nothing_was_held(db: Database) -> None:
    """A share may have been lowered by hand."""
    set_fleet(db, share=0.5)
    assert speed_up(db)
    assert fleet_state(db).share == pytest.approx(0.55)


def test_the_share_is_halved_again_after_a_second_and_never_below_its_least(db: Database) -> None:
    """So that a worker still calls, and finds out when the API recovers."""
    shares = []
    for _ in range(8):
        set_fleet(db, share_changed_at=after(-60.0))
        slow_down(db, hold_s=1)
        shares.append(fleet_state(db).share)
    assert shares == [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 64, 1 / 64]


def test_a_longer_hold_replaces_a_shorter_one(db: Database) -> None:
    """The API may ask for more rest while the fleet rests."""
    slow_down(db, hold_s=1)
    slow_down(db, hold_s=100)
    assert fleet_state(db).held_s > 50


def test_a_pause_that_is_lifted_leaves_nothing_behind(db: Database) -> None:
    """The next one has its own reason, its own end, and its own probes."""
    pause_fleet(db, PauseKind.BUDGET, code="DAY", message="spent", for_s=3600)
    assert resume_fleet(db, kind=PauseKind.BUDGET)
    with db.read() as connection:
        row = connection.execute(db.tables.fleet.select()).one()
    kept = {name: value for name, value in row._asdict().items() if "pause" in name}
    assert set(kept.values()) == {None}
    assert (row.probe_at, row.probes) == (None, 0)
    pause(db)
    found = fleet_state(db).pause
    assert found is not None
    assert (found.kind, found.until) == (PauseKind.BREAKER, None)
    assert take_probe(db, first_s=60, most_s=600)
    assert resume_fleet(db)
    pause(db)
    assert take_probe(db, first_s=60, most_s=600), "its first probe is due at once"


def test_counts_of_days_long_over_are_deleted_and_todays_kept(db: Database) -> None:
    """The fleet's and the owners'; a limit holds by today's alone."""
    daily, of_owners = db.tables.daily_calls, db.tables.owner_calls
    days = ("2020-01-01", "2020-01-02")
    claims: dict[str, Any] = {"worker_id": uuid4(), "call_deadline_s": 60, "max_calls": 3}
    with db.begin() as connection:
        connection.execute(daily.insert(), [{"day": day, "calls": 9} for day in days])
        rows = [{"day": day, "owner": "ada", "calls": 9} for day in days]
        connection.execute(of_owners.insert(), rows)
    set_owner_limits(db, "ada", max_calls_per_day=9)
    job = NewJob(id=uuid4(), request={"prompt": "x"}, request_hash="h", owner="ada")
    job_id = insert_job(db, job).job.id
    assert calls_today(db) == 0
    assert claim_if_due(db, job_id, token=uuid4(), max_calls_per_day=9, **claims)
    assert calls_today(db) == 1
    assert forget_days(db, older_than_days=30) == 4
    assert forget_days(db, older_than_days=0) == 0
    with db.read() as connection:
        counted = [connection.scalar(select(each.c.calls)) for each in (daily, of_owners)]
    assert counted == [1, 1]
    assert calls_today(db) == 1
