"""Positions from an outline are those of a count, as long as nothing has changed."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine, event

from benchmarks.servers.until import until
from storage.dispatch.position import MAX_POSITION, queue_position
from storage.dispatch.queue_outline import EVERY_S, EXACT, STEP, QueueOutline
from storage.dispatch.reserve import reserve_due
from storage.errors import DatabaseUnavailable
from storage.intake.insert import insert_jobs
from tests.storage.table import TableUnderTest, new_job


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """The seconds."""
        return self.now_s


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of this block."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def position(table: TableUnderTest, job_id: UUID) -> int | None:
    """By an outline that is read now."""
    return QueueOutline(table.db).position(table.job(job_id))


def test_a_position_in_a_short_queue_is_exact(table: TableUnderTest) -> None:
    """Whatever priorities and streams there are, of owners and of batches."""
    dice = random.Random(17)
    ids: list[UUID] = []
    for _ in range(40):
        priority = dice.choice([-1, 0, 0, 5])
        if dice.random() < 0.2:
            ids += table.batch(dice.randrange(1, 4), priority=priority)[1]
        else:
            ids.append(table.accept(priority=priority, owner=dice.choice(["ada", "bob", "eve"])))
    reserve_due(table.db, limit=5, stale_after_s=60)
    outline = QueueOutline(table.db)
    jobs = [table.job(job_id) for job_id in ids]
    assert [outline.position(job) for job in jobs] == [queue_position(table.db, j) for j in jobs]


def test_a_position_far_behind_is_a_few_too_low_at_most(table: TableUnderTest) -> None:
    """A rank is up to a step too low, and as many steps as there are streams."""
    batch_id, _ = table.batch(1)
    jobs = [new_job(batch_id=batch_id, priority=0) for _ in range(EXACT + 5 * STEP)]
    for start in range(0, len(jobs), 500):
        insert_jobs(table.db, jobs[start : start + 500])
    table.accept(owner="another")
    outline = QueueOutline(table.db)
    for number in (0, 1, EXACT // 2, EXACT // 2 + 7, EXACT - 1, EXACT + STEP + 3, len(jobs) - 1):
        job = table.job(jobs[number].id)
        counted_position, found = queue_position(table.db, job), outline.position(job)
        assert found is not None
        assert counted_position is not None
        assert counted_position - 2 * STEP <= found <= counted_position
    last = table.job(jobs[-1].id)
    assert outline.position(last) == queue_position(table.db, last)


def test_a_job_that_has_begun_has_no_position_and_one_sent_out_is_next(
    table: TableUnderTest,
) -> None:
    """Without a statement."""
    held, sent = table.accept(), table.accept()
    table.claimed(held)
    assert reserve_due(table.db, limit=1, stale_after_s=60) == [sent]
    jobs = [table.job(held), table.job(sent)]
    with counted() as statements:
        assert [QueueOutline(table.db).position(job) for job in jobs] == [None, 1]
    assert statements == []


def test_an_outline_is_read_once_a_second_and_only_if_it_is_needed(table: TableUnderTest) -> None:
    """Meanwhile jobs that it does not have are placed behind or before those that it has."""
    clock = Clock()
    outline = QueueOutline(table.db, clock=clock)
    first = table.job(table.accept())
    assert outline.position(first) == 1
    later = [table.accept() for _ in range(2)]
    stranger, urgent, low = (
        table.job(table.accept(**how))
        for how in ({"owner": "ada"}, {"priority": 9}, {"priority": -9})
    )
    jobs = [table.job(job_id) for job_id in later]
    with counted() as statements:
        clock.now_s += EVERY_S / 2
        assert [outline.position(job) for job in (first, *jobs)] == [1, 2, 2]
        assert [outline.position(job) for job in (stranger, urgent, low)] == [1, 1, 2]
    assert statements == []
    clock.now_s += EVERY_S
    assert [outline.position(job) for job in jobs] == [queue_position(table.db, j) for j in jobs]


def test_a_usual_queue_is_outlined_by_few_statements(table: TableUnderTest) -> None:
    """However many streams it has, on PostgreSQL."""
    ids = [table.accept(owner=f"owner {number}") for number in range(20)]
    job = table.job(ids[-1])
    with counted() as statements:
        assert QueueOutline(table.db).position(job) == 1
    most = 4 if not table.db.is_sqlite else 5 + len(ids)  # with a BEGIN
    assert len(statements) <= most


def test_a_job_below_many_priorities_is_counted_for_itself(table: TableUnderTest) -> None:
    """An outline reads the highest ones only."""
    ids = [table.accept(priority=-number) for number in range(20)]
    outline = QueueOutline(table.db)
    assert [outline.position(table.job(job_id)) for job_id in ids] == list(range(1, 21))


def test_a_stream_beyond_those_that_are_read_is_counted_for_itself(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A round robin looks at a bounded number of streams, and so does an outline."""
    for module in ("fairness", "queue_outline"):
        monkeypatch.setattr(f"storage.dispatch.{module}.MAX_STREAMS", 3)
    jobs = [table.job(table.accept(owner=f"owner {number % 5}")) for number in range(10)]
    outline = QueueOutline(table.db)
    assert [outline.position(job) for job in jobs] == [queue_position(table.db, j) for j in jobs]


def test_streams_that_are_cut_short_are_counted_for_those_below(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long stream beside a short one is ahead of a lower priority with all of its jobs."""
    monkeypatch.setattr("storage.dispatch.queue_outline.MAX_POSITION", 20)
    table.batch(15, priority=1)
    table.accept(priority=1)
    low, lowest = table.job(table.accept()), table.job(table.accept(priority=-1))
    outline = QueueOutline(table.db)
    assert [outline.position(job) for job in (low, lowest)] == [17, 18]


def test_below_a_full_priority_everything_is_far_away(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lower ones are not read."""
    monkeypatch.setattr("storage.dispatch.queue_outline.MAX_POSITION", 6)
    for _ in range(8):
        table.accept(priority=1)
    low, lowest = table.job(table.accept()), table.job(table.accept(priority=-1))
    with counted() as statements:
        assert QueueOutline(table.db).position(low) == 6
    assert len(statements) <= 8
    assert QueueOutline(table.db).position(lowest) == 6
    assert MAX_POSITION == 10_000


def test_threads_share_one_reading_and_its_error(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three threads wait for the reading of a fourth, and all four get its error."""
    job = table.job(table.accept())
    outline = QueueOutline(table.db)
    waiting, readings = [], []

    class Watched(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            waiting.append(1)
            return super().result(timeout)

    def fail(_db: object) -> None:
        readings.append(1)
        until(lambda: len(waiting) == 3, "three threads that wait for the reading")
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patch, ThreadPoolExecutor(4) as threads:
        patch.setattr("storage.dispatch.queue_outline.Future", Watched)
        patch.setattr("storage.dispatch.queue_outline.read_outline", fail)
        asked = [threads.submit(outline.position, job) for _ in range(4)]
        for found in asked:
            with pytest.raises(DatabaseUnavailable):
                found.result()
    assert len(readings) == 1
    assert outline.position(job) == 1
