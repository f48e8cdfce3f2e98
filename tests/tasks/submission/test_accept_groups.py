"""Jobs that arrive together are accepted together, and each gets its own answer."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select, text
from uuid_utils.compat import uuid7

from benchmarks.servers.until import until
from storage.db.database import Database
from storage.db.statement_limits import Limits
from storage.errors import DatabaseMisconfigured, DatabaseUnavailable, IdempotencyConflict
from storage.intake.group_members import Alone, Full, Known, Made, Member, member_of
from storage.intake.insert import columns_of
from storage.intake.reuse import set_owner_reuse
from storage.owners.limits import set_owner_limits
from storage.records.job import NewJob
from tasks.errors import QueueFull
from tasks.submission.accept_groups import AcceptGroups, Entry, without_repeats
from tests.storage.table import new_job
from tests.tasks.submissions import intake_over

REQUEST = {"prompt": "a fox"}


class Sends:
    """Remembers what it should send; it may hold up the first group."""

    def __init__(self, width: int = 0) -> None:
        self.width = width
        self.groups: list[tuple[list[UUID], int]] = []
        self.is_asked = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def width_for_new_jobs(self) -> int:
        """Return the window, as soon as the test wants to."""
        self.is_asked.set()
        assert self.may_go_on.wait(timeout=60)
        return self.width

    def send_accepted(self, reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        """Remember a group."""
        self.groups.append((list(reserved), waiting))


@pytest.fixture
def sends() -> Sends:
    """A dispatch that sends nothing."""
    return Sends()


@pytest.fixture
def groups(migrated_database: Database, sends: Sends) -> AcceptGroups:
    """Groups over a table, once on each database."""
    return AcceptGroups(migrated_database, sends)


def member(**changes: Any) -> Member:
    """A job that may be known already."""
    return member_of(new_job(**changes), has_new_id=False)


def count(db: Database) -> int:
    """How many rows there are."""
    with db.read() as connection:
        return int(connection.scalar(select(func.count()).select_from(db.tables.jobs)) or 0)


def together(groups: AcceptGroups, sends: Sends, members: Sequence[Member]) -> list[Any]:
    """Accept jobs from threads of their own while another one holds up the first group."""
    sends.is_asked.clear()
    sends.may_go_on.clear()
    with ThreadPoolExecutor(len(members) + 1) as threads:
        first = threads.submit(groups.accept, member())
        assert sends.is_asked.wait(timeout=60)
        answers = []
        for n, each in enumerate(members, 1):
            answers.append(threads.submit(groups.accept, each))
            until(partial(_are_waiting, groups, n), "a job that waits for its group")
        sends.may_go_on.set()
        assert isinstance(first.result(timeout=60), Made)
        return [answer.result(timeout=60) for answer in answers]


def _are_waiting(groups: AcceptGroups, number: int) -> bool:
    return len(groups._entries) == number


def test_what_arrives_while_a_group_is_written_is_the_next_group(
    groups: AcceptGroups, sends: Sends, migrated_database: Database
) -> None:
    """Sixteen jobs are two transactions: the first one's, and that of the fifteen others."""
    answers = together(groups, sends, [member() for _ in range(15)])
    assert all(isinstance(answer, Made) for answer in answers)
    assert [waiting for _, waiting in sends.groups] == [1, 15]
    assert count(migrated_database) == 16


def test_jobs_with_one_key_are_answered_as_if_they_came_in_a_row(
    groups: AcceptGroups, sends: Sends
) -> None:
    """The first one is made, and the others find it."""
    same = [member(idempotency_key="k", request_hash=f"{n % 2}") for n in range(6)]
    first, *others = together(groups, sends, same)
    assert isinstance(first, Made)
    assert others == [Known(first.job.id, "0")] * 5


def test_a_bad_job_harms_no_other(migrated_database: Database) -> None:
    """The caller has to accept each alone; nothing of the group was kept."""
    groups = AcceptGroups(migrated_database, Sends())
    bad = member(request={"prompt": "\ud800"})
    answers = groups.write([*(member() for _ in range(8)), bad, *(member() for _ in range(7))])
    assert answers == [Alone()] * 16
    assert count(migrated_database) == 0


def test_an_unavailable_database_affects_all() -> None:
    """Nothing is known about any of them, and none is tried alone."""
    gone = Database("postgresql://darkroom@127.0.0.1:9/none")
    groups = AcceptGroups(gone, Sends())
    answers = groups.write([member() for _ in range(4)])
    assert all(isinstance(answer, DatabaseUnavailable) for answer in answers)
    with pytest.raises(DatabaseUnavailable):
        groups.accept(member())
    gone.close()


def test_a_key_that_is_being_accepted_elsewhere_holds_up_only_its_own_job(
    migrated_postgres_url: str,
) -> None:
    """The group gives up at the lock, and each job comes alone."""
    db = Database(migrated_postgres_url, limits=Limits(lock_s=0.1))
    other = Database(migrated_postgres_url)
    locked = new_job(idempotency_key="k")
    row = {name: value for name, value in columns_of(locked).items() if name != "expires_in_s"}
    with other.begin() as holding:
        holding.execute(other.tables.jobs.insert().values(row))
        groups = AcceptGroups(db, Sends())
        answers = groups.write([member(), member(idempotency_key="k"), member()])
        assert answers == [Alone()] * 3
    db.close()
    other.close()


def test_a_missing_privilege_is_each_jobs_own_error(new_migrated_postgres_url: str) -> None:
    """An operator can grant it: each gets the error when it is accepted alone."""
    owner = Database(new_migrated_postgres_url)
    name = f"reader_{uuid7().hex}"
    with owner.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA darkroom TO {name}"))
        connection.execute(text(f"GRANT SELECT ON ALL TABLES IN SCHEMA darkroom TO {name}"))
    db = Database(new_migrated_postgres_url.replace("darkroom@", f"{name}@"))
    intake = intake_over(db)
    prepared = [intake.prepare(REQUEST, {}) for _ in range(3)]
    answers = intake.groups.write([each.member for each in prepared if each.member is not None])
    assert answers == [Alone()] * 3
    with pytest.raises(DatabaseMisconfigured):
        intake.result_of(prepared[0], Alone())
    db.close()
    with owner.begin() as connection:
        connection.execute(text(f"DROP OWNED BY {name}"))
        connection.execute(text(f"DROP ROLE {name}"))
    owner.close()


def test_a_job_that_takes_an_image_by_its_owners_default_comes_alone(
    groups: AcceptGroups, migrated_database: Database
) -> None:
    """Its image is looked for there; the jobs of other owners are accepted together."""
    set_owner_reuse(migrated_database, "ada", reuse=True)
    asking = {"reuse": None, "reuse_hash": "h" * 64}
    answers = groups.write(
        [member(owner="ada", **asking), member(owner="bob", **asking), member(owner="ada")]
    )
    assert [type(answer) for answer in answers] == [Alone, Made, Made]


def test_the_queue_limit_is_kept_in_the_order_of_arrival(
    groups: AcceptGroups, migrated_database: Database
) -> None:
    """Ten of sixteen fit; other owners' jobs are not counted, and repeats get their job."""
    set_owner_limits(migrated_database, "ada", max_queued=10)
    jobs = [new_job(owner="ada", idempotency_key=str(n)) for n in range(16)]
    limited = [member_of(job, has_new_id=False, max_queued=10) for job in jobs]
    answers = groups.write([member(), *limited])
    assert [type(answer) for answer in answers] == [Made] * 11 + [Full] * 6
    again = groups.write([limited[0], limited[15]])
    assert [type(answer) for answer in again] == [Known, Full]


def test_a_part_of_what_is_free_is_used_without_counting(
    groups: AcceptGroups, migrated_database: Database
) -> None:
    """The limit is kept although not every group counts."""
    set_owner_limits(migrated_database, "ada", max_queued=40)
    kinds: Counter[type] = Counter()
    for _ in range(60):
        job = new_job(owner="ada")
        (answer,) = groups.write([member_of(job, has_new_id=True, max_queued=40)])
        kinds[type(answer)] += 1
    assert kinds == {Made: 40, Full: 20}


def test_jobs_that_fit_the_window_are_sent_at_once(
    migrated_database: Database,
) -> None:
    """Their rows are dispatched, and one call has them sent."""
    sends = Sends(width=10)
    groups = AcceptGroups(migrated_database, sends)
    members = [member() for _ in range(6)]
    assert all(isinstance(answer, Made) for answer in groups.write(members))
    assert sends.groups == [([each.job.id for each in members], 0)]


def test_callers_that_do_not_wait_in_a_thread_are_told_once_for_a_group(
    groups: AcceptGroups,
) -> None:
    """As an event loop wants it: one call, whatever the number of jobs."""
    told: list[list[Entry]] = []
    tell: Callable[[Sequence[Entry]], object] = lambda entries: told.append(list(entries))  # noqa: E731 - one object for all
    entries = [Entry(member(), tell) for _ in range(5)]
    leads = [groups.add(entry) for entry in entries]
    assert leads == [True, False, False, False, False]
    groups.lead()
    assert told == [entries]
    assert all(isinstance(entry.answer, Made) for entry in entries)
    assert groups.add(Entry(member(), tell))


def test_a_caller_that_cannot_be_told_harms_no_other(groups: AcceptGroups) -> None:
    """Its loop may be closed by now."""

    def gone(_: Sequence[Entry]) -> None:
        raise RuntimeError("the loop is closed")

    told: list[Entry] = []
    entries = [Entry(member(), gone), Entry(member(), told.extend)]
    assert [groups.add(entry) for entry in entries] == [True, False]
    groups.lead()
    assert told == entries[1:]


def test_a_group_that_fails_anywhere_leaves_no_job_without_a_leader(
    groups: AcceptGroups, sends: Sends, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the commit; the jobs behind it are not left to wait for a later caller."""

    def fail(reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        raise ValueError(f"{reserved}, {waiting}")

    monkeypatch.setattr(sends, "send_accepted", fail)
    told: list[Entry] = []
    entries = [Entry(member(idempotency_key="k"), told.extend) for _ in range(3)]
    assert [groups.add(entry) for entry in entries] == [True, False, False]
    groups.lead()
    assert told == entries
    assert [entry.answer for entry in entries] == [Alone()] * 3


def test_many_threads_get_an_answer_each(groups: AcceptGroups, migrated_database: Database) -> None:
    """The lead is handed on, and none waits indefinitely."""

    def submit(thread: int) -> list[type]:
        keys = [str((thread + n) % 20) for n in range(20)]
        return [type(groups.accept(member(idempotency_key=key))) for key in keys]

    with ThreadPoolExecutor(8) as threads:
        kinds = Counter(kind for some in threads.map(submit, range(8)) for kind in some)
    assert kinds == {Made: 20, Known: 140}
    assert count(migrated_database) == 20
    assert groups.add(Entry(member(), print))


def test_an_intake_answers_from_its_group(migrated_database: Database) -> None:
    """Made, found again, a conflict, and a full queue."""
    intake = intake_over(migrated_database)
    options = {"owner": "ada", "idempotency_key": "k"}
    first, again = (intake.accept(REQUEST, options) for _ in range(2))
    assert (first.created, again.created) == (True, False)
    assert first.job.id == again.job.id
    with pytest.raises(IdempotencyConflict):
        intake.accept({"prompt": "an owl"}, options)
    prepared = intake.prepare(REQUEST, {"owner": "ada"}, max_queued=1)
    assert prepared.member is not None
    set_owner_limits(migrated_database, "ada", max_queued=1)
    (full,) = intake.groups.write([prepared.member])
    assert isinstance(full, Full)
    with pytest.raises(QueueFull):
        intake.result_of(prepared, full)
    assert intake.result_of(prepared, Alone()).created


@given(names=st.lists(st.tuples(st.integers(0, 3), st.sampled_from([None, "a", "b"])), max_size=12))
def test_no_job_overtakes_another_of_its_id_or_key(names: list[tuple[int, str | None]]) -> None:
    """Neither one in the group, nor one that stays for a later group."""
    ids = [uuid7() for _ in range(4)]
    jobs = [NewJob(ids[n], {}, "h", idempotency_key=key) for n, key in names]
    group, later = without_repeats([member_of(job, has_new_id=False) for job in jobs])
    assert sorted([*group, *later]) == list(range(len(jobs)))

    def are_tied(one: NewJob, other: NewJob) -> bool:
        key = one.idempotency_key
        return one.id == other.id or (key is not None and key == other.idempotency_key)

    for index in group:
        assert not any(are_tied(jobs[index], jobs[before]) for before in range(index))
