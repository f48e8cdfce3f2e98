"""A group of jobs is answered like jobs that are accepted one by one."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete, select, text
from uuid_utils.compat import uuid7

from benchmarks.servers.until import until
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.dispatch.reserve import count_dispatched
from storage.errors import (
    DatabaseUnavailable,
    IdempotencyConflict,
    JobForgotten,
    RecordRefused,
    RowLocked,
)
from storage.intake.accept import accept_group
from storage.intake.group_members import (
    Alone,
    Forgotten,
    Full,
    GroupLimits,
    Known,
    Made,
    Member,
    Outcome,
    member_of,
)
from storage.intake.insert import columns_of, insert_job
from storage.migrations.migrate import migrate
from storage.owners.limits import set_owner_limits
from storage.queries.get import get_job
from storage.records.job import NewJob
from storage.retention.delete import forget_jobs
from storage.retention.tombstones import find_tombstone, hash_of_key
from tests.storage.table import TableUnderTest, new_job

IDS = [uuid7() for _ in range(6)]
OWNERS = ("ada", "bob")


def members(jobs: Sequence[NewJob]) -> list[Member]:
    """Members that may be known already."""
    return [member_of(job, has_new_id=False) for job in jobs]


def accept(db: Database, *jobs: NewJob, **limits: Any) -> list[Outcome]:
    """Accept jobs as one group."""
    return list(accept_group(db, members(jobs), GroupLimits(**limits)).outcomes)


def alone(db: Database, job: NewJob) -> tuple[str, UUID | None]:
    """What a job gets that is accepted alone."""
    try:
        accepted = insert_job(db, job)
    except IdempotencyConflict as conflict:
        return "conflict", conflict.job_id
    except JobForgotten as forgotten:
        return "forgotten", forgotten.tombstone.id
    return "made" if accepted.created else "known", accepted.job.id


def answer(job: NewJob, outcome: Outcome) -> tuple[str, UUID | None]:
    """The same of an outcome."""
    if isinstance(outcome, Known):
        is_same = outcome.request_hash == job.request_hash
        return "known" if is_same else "conflict", outcome.id
    if isinstance(outcome, Forgotten):
        return "forgotten", outcome.tombstone.id
    assert isinstance(outcome, Made)
    return "made", outcome.job.id


def rows(db: Database) -> list[dict[str, Any]]:
    """All rows of the table but for their times, and what is noted for reuse."""
    jobs, reuses = db.tables.jobs, db.tables.reuses
    columns = [column for column in jobs.c if not column.name.endswith("_at")]
    with db.read() as connection:
        found = connection.execute(select(*columns).order_by(jobs.c.id)).mappings().all()
        noted = connection.execute(select(reuses).order_by(reuses.c.job_id)).mappings().all()
    return [dict(row) for row in (*found, *noted)]


def empty(db: Database) -> None:
    """Delete all rows."""
    tables = db.tables
    with db.begin() as connection:
        for table in (tables.jobs, tables.reuses, tables.tombstones):
            connection.execute(delete(table))


def forgotten(db: Database, job: NewJob) -> None:
    """Accept a job, end it and delete it."""
    table = TableUnderTest(db)
    forget_jobs(db, [table.finished(insert_job(db, job).job.id).id], key_prefix="")


@st.composite
def some_jobs(draw: st.DrawFn) -> list[NewJob]:
    """Jobs with few ids, keys and hashes, so that they repeat each other."""
    drawn = st.builds(
        new_job,
        id=st.sampled_from(IDS),
        owner=st.sampled_from(OWNERS),
        idempotency_key=st.sampled_from([None, "k1", "k2", "k3"]),
        request_hash=st.sampled_from(["one", "two"]),
        reuse_hash=st.sampled_from([None, "h" * 64]),
        metadata=st.sampled_from([None, {}, {"order": 1.5, "text": "\u00e4\n"}]),
        priority=st.integers(-9, 9),
        callback_url=st.sampled_from([None, "https://shop.example/ended"]),
        simulated=st.booleans(),
        needs_release=st.sampled_from([None, 2]),
    )
    return draw(st.lists(drawn, min_size=1, max_size=16))


def groups_of(jobs: Sequence[NewJob]) -> list[list[NewJob]]:
    """Cut jobs into groups in which no two share an id or a key."""
    groups: list[list[NewJob]] = []
    taken: set[object] = set()
    for job in jobs:
        names: set[object] = {job.id}
        if job.idempotency_key is not None:
            names.add((job.owner, job.idempotency_key))
        if not groups or taken & names:
            groups.append([])
            taken = set()
        groups[-1].append(job)
        taken |= names
    return groups


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(first=some_jobs(), gone=st.booleans(), then=some_jobs())
def test_a_group_is_answered_like_one_by_one(
    db: Database, first: list[NewJob], then: list[NewJob], *, gone: bool
) -> None:
    """Rows, repeats, conflicts and deleted jobs: equal answers, and equal tables afterwards."""
    results = []
    for together in (False, True):
        empty(db)
        if gone:
            forgotten(db, new_job(id=IDS[0], owner="ada", idempotency_key="k1"))
        answers = []
        for group in groups_of([*first, *then]):
            outcomes = accept(db, *group) if together else [None] * len(group)
            answers += [
                alone(db, job) if outcome is None else answer(job, outcome)
                for job, outcome in zip(group, outcomes, strict=True)
            ]
        results.append((answers, rows(db)))
    assert results[0] == results[1]


def test_what_a_group_reports_is_what_the_table_holds(db: Database) -> None:
    """The job is made of what was sent and the database's times; the row says the same."""
    jobs = [
        new_job(owner="ada", idempotency_key="k", expires_in_s=60.0, priority=3),
        new_job(metadata={"order": [1, 2.5, None]}, callback_url="https://shop.example/x"),
        new_job(needs_release=2, simulated=True, reuse_hash="h" * 64),
    ]
    outcomes = accept(db, *jobs, window=10)
    for job, outcome in zip(jobs, outcomes, strict=True):
        assert isinstance(outcome, Made)
        assert outcome.job == get_job(db, job.id)


def test_jobs_of_a_group_start_in_the_order_they_came(db: Database) -> None:
    """The rows are inserted in the order of their keys, and yet the first is the oldest."""
    jobs = [new_job(idempotency_key=key) for key in ("c", "a", "b")]
    accept(db, *jobs)
    oldest_first = sorted((get_job(db, job.id) for job in jobs), key=lambda job: job.accepted_at)
    assert [job.id for job in oldest_first] == [job.id for job in jobs]


def test_the_last_places_go_to_those_who_came_first(db: Database) -> None:
    """Ten of sixteen fit, and the first ten get in; repeats among them take no place."""
    set_owner_limits(db, "ada", max_queued=12)
    known = [new_job(owner="ada", idempotency_key=f"known {n}") for n in range(2)]
    accept(db, *known)
    jobs = [new_job(owner="ada", idempotency_key=f"{n:x}") for n in reversed(range(16))]
    asked = [*jobs[:5], *known, *jobs[5:], new_job(owner="bob")]
    written = accept_group(db, members(asked), GroupLimits(recount={"ada": 12}))
    kinds = [type(outcome) for outcome in written.outcomes]
    assert kinds == [Made] * 5 + [Known] * 2 + [Made] * 5 + [Full] * 6 + [Made]
    assert written.counted == {"ada": 0}


def test_a_known_allowance_is_not_counted_again(db: Database) -> None:
    """Who is known to be full gets repeats answered, and nothing new."""
    known, new = (new_job(owner="ada", idempotency_key=key) for key in ("known", "new"))
    accept(db, known)
    first, second = accept(db, known, new, allowances={"ada": 0})
    assert (type(first), type(second)) == (Known, Full)


def test_two_gateways_that_count_do_not_both_see_the_last_places(db: Database) -> None:
    """The owner's row is locked while its jobs are counted and inserted."""
    set_owner_limits(db, "ada", max_queued=10)
    begin = threading.Barrier(4)

    def submit(_: int) -> int:
        jobs = [new_job(owner="ada") for _ in range(5)]
        begin.wait(timeout=60)
        outcomes = accept(db, *jobs, recount={"ada": 10})
        return sum(isinstance(outcome, Made) for outcome in outcomes)

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(submit, range(4))) == 10


def test_a_group_that_fits_the_window_is_dispatched_at_once(db: Database) -> None:
    """Its rows are inserted as dispatched, but for those that only a newer worker can serve."""
    outcomes = accept(db, new_job(), new_job(needs_release=10**6), new_job(), window=3)
    times = [outcome.job.dispatched_at for outcome in outcomes if isinstance(outcome, Made)]
    assert [time is not None for time in times] == [True, False, True]


def test_a_group_waits_its_turn_behind_ready_jobs(db: Database) -> None:
    """While another job is ready, none of the group is dispatched with its insert."""
    insert_job(db, new_job(owner="bob"))
    accept(db, new_job(), new_job(), window=10)
    assert count_dispatched(db, 10) == 0


def test_a_group_that_does_not_fit_the_window_waits(db: Database) -> None:
    """Jobs that broker and inboxes hold already count against the window."""
    accept(db, new_job(), new_job(), window=3)
    assert count_dispatched(db, 10) == 2
    accept(db, new_job(), new_job(), window=3)
    assert count_dispatched(db, 10) == 2


def test_an_owner_with_limits_is_left_to_the_dispatcher(db: Database) -> None:
    """Its calls in flight are counted there."""
    set_owner_limits(db, "ada", max_in_flight=1)
    accept(db, new_job(owner="ada"), new_job(owner="bob"), window=10)
    assert count_dispatched(db, 10) == 1


def test_a_fresh_group_is_inserted_too(db: Database) -> None:
    """Without keys nothing is looked for, and images are still noted for reuse."""
    jobs = [new_job(reuse_hash="h" * 64), new_job()]
    fresh = [member_of(job, has_new_id=True) for job in jobs]
    outcomes = accept_group(db, fresh, GroupLimits(window=2)).outcomes
    assert [answer(*pair) for pair in zip(jobs, outcomes, strict=True)] == [
        ("made", job.id) for job in jobs
    ]
    assert sum("root_id" in row for row in rows(db)) == 1


def test_a_member_that_no_row_can_hold_keeps_the_group_out(db: Database) -> None:
    """Nothing of the group is a row, so each can be tried alone."""
    strange = new_job(request={"prompt": "\ud800"})
    with pytest.raises(RecordRefused):
        accept(db, new_job(), strange, new_job())
    assert rows(db) == []


def test_a_value_that_json_cannot_hold_makes_no_member() -> None:
    """It is refused before it meets a group."""
    with pytest.raises(RecordRefused):
        member_of(new_job(request={"prompt": "\x00"}), has_new_id=True)


def test_groups_with_crossed_keys_end_without_a_deadlock(table: TableUnderTest) -> None:
    """Rows are inserted in one order, whatever the order of the members."""
    keys = [f"k{n}" for n in range(12)]
    begin = threading.Barrier(2)

    def submit(order: int) -> list[type]:
        kinds = []
        for turn in range(10):
            jobs = [new_job(idempotency_key=f"{turn}-{key}") for key in keys[::order]]
            begin.wait(timeout=60)
            kinds += [type(outcome) for outcome in accept(table.db, *jobs)]
        return kinds

    with ThreadPoolExecutor(2) as threads:
        both = [kind for kinds in threads.map(submit, (1, -1)) for kind in kinds]
    assert both.count(Made) == 10 * len(keys)
    assert {Made} <= set(both) <= {Made, Known, Alone}


def test_a_job_forgotten_while_its_group_waits_does_not_come_back(
    migrated_postgres_url: str,
) -> None:
    """The tombstone is looked for after the insert, which waited for the deletion."""
    patient = Limits(lock_s=60, statement_s=60, deadline_s=120)
    db, other = (Database(migrated_postgres_url, limits=patient) for _ in range(2))
    gone, usual = new_job(owner="ada", idempotency_key="k", reuse_hash="h" * 64), new_job()
    again = new_job(owner="ada", idempotency_key="k", reuse_hash="h" * 64)
    with ThreadPoolExecutor(1) as threads:
        with other.begin() as deleting:
            accepted_at = _insert(other, deleting, gone)
            group = threads.submit(accept, db, again, usual)
            until(lambda: _somebody_waits(db), "a group that waits for a lock")
            _bury(other, deleting, gone, accepted_at)
        outcomes = group.result(timeout=60)
    assert [type(outcome) for outcome in outcomes] == [Forgotten, Made]
    assert [row["id"] for row in rows(db)] == [usual.id]
    db.close()
    other.close()


def test_forgetting_and_accepting_again_at_once_leaves_no_job(table: TableUnderTest) -> None:
    """Whichever comes first: in the end there is a tombstone of each, and no row."""
    jobs = [new_job(idempotency_key=str(n)) for n in range(20)]

    def hand_in(number: int) -> None:
        accept(table.db, *jobs[number::5])

    def drop(number: int) -> None:
        forget_jobs(table.db, [job.id for job in jobs[number::5]], key_prefix="")

    for number in range(5):
        hand_in(number)
    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(work, n % 5) for n in range(20) for work in (hand_in, drop, hand_in)]
    assert all(each.result() is None for each in done)
    assert rows(table.db) == []
    assert all(find_tombstone(table.db, job.id) for job in jobs)


def _insert(db: Database, connection: Connection, job: NewJob) -> datetime:
    jobs = db.tables.jobs
    row = {name: value for name, value in columns_of(job).items() if name != "expires_in_s"}
    new = jobs.insert().values(row).returning(jobs.c.accepted_at)
    accepted_at: datetime = connection.execute(new).scalar_one()
    return accepted_at


def _bury(db: Database, connection: Connection, job: NewJob, accepted_at: datetime) -> None:
    stones, jobs = db.tables.tombstones, db.tables.jobs
    connection.execute(delete(jobs).where(jobs.c.id == job.id))
    connection.execute(
        stones.insert().values(
            id=job.id,
            owner=job.owner,
            key_hash=hash_of_key(job.owner, str(job.idempotency_key)),
            status="cancelled",
            simulated=False,
            accepted_at=accepted_at,
            ended_at=accepted_at,
        )
    )


def _somebody_waits(db: Database) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with db.read() as connection:
        return bool(connection.scalar(text(f"{waiting} AND datname = current_database()")))


def test_a_deadlock_is_a_lock_and_no_outage(migrated_postgres_url: str) -> None:
    """Two transactions that wait for each other: one ends, and its caller tries each job alone."""
    patient = Limits(lock_s=60, statement_s=60, deadline_s=120)
    db, other = (Database(migrated_postgres_url, limits=patient) for _ in range(2))
    first, second = (new_job(owner="ada", idempotency_key=key) for key in ("a", "b"))
    again = [replace(job, id=uuid7()) for job in (first, second)]
    ends: list[object] = []
    with ThreadPoolExecutor(1) as threads:
        with suppress(RowLocked), other.begin() as holding:
            _insert(other, holding, second)
            group = threads.submit(accept, db, *again)  # has the key a, waits for the key b
            until(lambda: _somebody_waits(db), "a group that waits for a lock")
            try:
                _insert(other, holding, first)
            except BaseException as error:
                ends.append(error)
                raise
        try:
            group.result(timeout=60)
        except RowLocked as error:
            ends.append(error)
    assert len(ends) == 1
    db.close()
    other.close()


def test_an_unavailable_database_is_reported_as_such(migrated_postgres_url: str) -> None:
    """The same group can be accepted again, with the same ids."""
    db = Database(migrated_postgres_url)
    jobs = [new_job(idempotency_key=str(n)) for n in range(3)]
    accept(db, *jobs)
    assert {type(outcome) for outcome in accept(db, *jobs)} == {Known}
    gone = Database("postgresql://darkroom@127.0.0.1:9/none")
    with pytest.raises(DatabaseUnavailable):
        accept(gone, *jobs)
    gone.close()
    db.close()


def test_groups_go_through_a_pgbouncer_in_transaction_mode(
    pgbouncer_url: str,
) -> None:
    """Fresh groups, keyed ones and counted ones, from eight threads at once."""
    db = Database(pgbouncer_url, pool_size=8)
    migrate(db)
    set_owner_limits(db, "ada", max_queued=1000)

    def submit(thread: int) -> list[type]:
        kinds = []
        for n in range(10):
            keyed = [new_job(owner="ada", idempotency_key=f"{thread}-{n}"), new_job()]
            fresh = [member_of(new_job(), has_new_id=True) for _ in range(3)]
            written = accept_group(db, fresh, GroupLimits(window=9))
            kinds += [type(outcome) for outcome in written.outcomes]
            kinds += [type(outcome) for outcome in accept(db, *keyed, recount={"ada": 1000})]
        return kinds

    with ThreadPoolExecutor(8) as threads:
        kinds = [kind for some in threads.map(submit, range(8)) for kind in some]
    assert kinds == [Made] * 400
    assert len(rows(db)) == 400
    db.close()
