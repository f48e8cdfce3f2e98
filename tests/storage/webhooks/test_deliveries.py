"""Deliveries: claimed once, settled by their holder alone, replayed, counted, swept."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from storage.batches.batches import batch_callback, create_batch, open_batch
from storage.batches.counts import fold_batch_deltas
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.intake.insert import insert_jobs
from storage.jobs.cancel import ask_cancel, retry_ended
from storage.queries.filter import database_time
from storage.records.delivery import ClaimedDelivery, Delivery, DeliveryState
from storage.webhooks.due_receivers import owners_due
from storage.webhooks.log import (
    UNDELIVERED,
    DeliveryFilter,
    delivery_log,
    find_delivery,
    latest_delivery,
    list_deliveries,
    sweep_deliveries,
)
from storage.webhooks.record_attempts import Verdict
from storage.webhooks.replay import count_replays, replay_deliveries, walk_deliveries
from storage.webhooks.secrets import add_secret, drop_old_secrets, signing_secrets
from tests.storage.deliveries import claim_deliveries, record_attempt
from tests.storage.table import TableUnderTest, new_job

URL = "https://shop.example.com/done"
DONE = Verdict(DeliveryState.DELIVERED, latency_ms=12, status=200, answer="thanks")
LATER = Verdict(DeliveryState.PENDING, delay_s=0.0, latency_ms=5, error="TIMEOUT")
LOST = Verdict(DeliveryState.FAILED, latency_ms=5, status=500, answer="oh\x00 no")


def ended(table: TableUnderTest, owner: str = "ada", url: str = URL) -> UUID:
    """Return a job that has ended and has a callback."""
    job_id = table.accept(owner=owner, callback_url=url)
    ask_cancel(table.db, job_id)
    return job_id


def claim(
    db: Database, owner: str = "ada", *, limit: int = 10, lease_s: float = 60.0
) -> list[ClaimedDelivery]:
    """Take what is due, in the order of the jobs: the statement promises none."""
    claimed = claim_deliveries(db, owner, token=uuid4(), limit=limit, lease_s=lease_s)
    return sorted(claimed, key=lambda each: str(each.delivery.job_id))


def delivery_of(db: Database, job_id: UUID) -> Delivery:
    """The newest delivery of a job."""
    found = latest_delivery(db, job_id=job_id)
    assert found is not None
    return found


def test_what_is_claimed_is_nobody_elses(table: TableUnderTest) -> None:
    """Until the claim has run out: then it is due again, as its holder must be dead."""
    job_id = ended(table)
    (first,) = claim(table.db, lease_s=60)
    assert (first.delivery.job_id, first.attempt, first.is_gone) == (job_id, 1, False)
    assert first.body is not None
    assert json.loads(first.body)["data"]["id"] == str(job_id)
    assert claim(table.db) == []
    with table.db.begin() as connection:
        rows = table.db.tables.deliveries
        overdue = database_time(table.db)
        connection.execute(update(rows).values(next_attempt_at=overdue))
    (second,) = claim(table.db)
    assert (second.delivery.id, second.attempt) == (first.delivery.id, 2)
    assert second.body == first.body
    assert not record_attempt(table.db, first, DONE)
    assert delivery_of(table.db, job_id).state is DeliveryState.PENDING
    assert record_attempt(table.db, second, DONE)
    assert not record_attempt(table.db, second, DONE)
    assert [line.number for line in delivery_log(table.db, first.delivery.id)] == [2]


def test_owners_take_turns(table: TableUnderTest) -> None:
    """One with a hundred deliveries is one of three; the turn goes on where it stopped."""
    for owner in ("ada", "bob", "cy"):
        ended(table, owner)
    for _ in range(5):
        ended(table, "ada")
    db = table.db
    assert due(db) == ["ada", "bob", "cy"]
    assert due(db, limit=1) == ["ada"]
    assert due(db, after="ada") == ["bob", "cy"]
    assert len(claim(db, limit=4)) == 4
    assert len(claim(db, limit=4)) == 2
    assert due(db) == ["bob", "cy"]


def due(db: Database, *, after: str = "", limit: int = 10) -> list[str]:
    """Owners with something due."""
    found = owners_due(db, after_owner=after, after_receivers={}, limit=limit)
    return [each.owner for each in found]


def test_an_attempt_is_written_down_with_what_follows(table: TableUnderTest) -> None:
    """The log keeps each; the delivery the last one, and when it is due again."""
    job_id = ended(table)
    for verdict in (LATER, LOST):
        (claimed,) = claim(table.db)
        assert record_attempt(table.db, claimed, verdict)
    delivery = delivery_of(table.db, job_id)
    assert (delivery.state, delivery.attempts, delivery.last_status) == ("failed", 2, 500)
    assert delivery.ended_at is not None
    assert delivery.next_attempt_at is None
    log = delivery_log(table.db, delivery.id)
    assert [(line.number, line.status, line.error) for line in log] == [
        (1, None, "TIMEOUT"),
        (2, 500, None),
    ]
    assert log[1].answer == "oh\N{REPLACEMENT CHARACTER} no"
    assert due(table.db) == []


def test_a_receiver_that_is_gone_is_told_of_at_the_next_claim(table: TableUnderTest) -> None:
    """Of that owner and at that address alone, until a replay says that it is back."""
    first, second = ended(table), ended(table)
    (claimed,) = claim(table.db, limit=1)
    gone = Verdict(DeliveryState.DISABLED, latency_ms=1, status=410, is_gone=True)
    assert record_attempt(table.db, claimed, gone)
    ended(table, url=f"{URL}/other")
    ended(table, owner="bob")
    flags = [each.is_gone for each in (*claim(table.db), *claim(table.db, "bob"))]
    assert flags == [True, False, False]
    told = delivery_of(table.db, first)
    assert replay_deliveries(table.db, [told.id]) == [told.id]
    ended(table)
    assert [each.is_gone for each in claim(table.db)] == [False, False]
    assert second != first


def test_a_replay_begins_the_schedule_anew_and_keeps_log_and_id(table: TableUnderTest) -> None:
    """What is being sent just now is left alone, and so is what was forgotten."""
    job_id = ended(table)
    (claimed,) = claim(table.db)
    assert replay_deliveries(table.db, [claimed.delivery.id]) == []
    record_attempt(table.db, claimed, LOST)
    assert replay_deliveries(table.db, [claimed.delivery.id], owner="bob") == []
    assert replay_deliveries(table.db, [claimed.delivery.id, uuid4()]) == [claimed.delivery.id]
    (again,) = claim(table.db)
    assert (again.delivery.id, again.attempt, again.delivery.attempts) == (
        claimed.delivery.id,
        1,
        2,
    )
    assert again.body == claimed.body
    record_attempt(table.db, again, DONE)
    with table.db.begin() as connection:
        connection.execute(update(table.db.tables.deliveries).values(body=None))
    assert replay_deliveries(table.db, [claimed.delivery.id]) == []
    assert [line.number for line in delivery_log(table.db, delivery_of(table.db, job_id).id)] == [
        1,
        2,
    ]


def test_a_filter_shows_counts_and_walks_the_same(table: TableUnderTest) -> None:
    """By owner, state, event, moment, job and batch."""
    jobs = [ended(table) for _ in range(3)]
    ended(table, "bob")
    waits = replace(LATER, delay_s=3600.0)
    for claimed, verdict in zip(claim(table.db), (LOST, DONE, waits), strict=True):
        record_attempt(table.db, claimed, verdict)
    db, now = table.db, later(table.db)

    def of(**conditions: Any) -> Sequence[UUID | None]:
        meant = DeliveryFilter(**conditions)
        page = list_deliveries(db, meant)
        walked = [i for ids in walk_deliveries(db, meant, now, chunk=2) for i in ids]
        assert sorted(walked) == sorted(each.id for each in page)
        assert sum(count_replays(db, meant, now).values()) == len(page)
        return [each.job_id for each in page]

    assert list(of(owner="ada")) == jobs[::-1]
    assert of(states=UNDELIVERED) == jobs[:1]
    assert of(states=frozenset({DeliveryState.FAILED})) == jobs[:1]
    assert of(states=frozenset({DeliveryState.DISABLED})) == []
    assert of(owner="ada", states=frozenset({DeliveryState.PENDING})) == jobs[2:]
    assert of(event="job.failed") == []
    assert of(job_id=jobs[1]) == jobs[1:2]
    assert of(since=now) == []
    everything = list_deliveries(db, DeliveryFilter())
    last = everything[1]
    rest = list_deliveries(db, DeliveryFilter(), before=Cursor(last.created_at, last.id))
    assert rest == everything[2:]


def test_a_replay_of_what_waits_meets_nothing_twice(table: TableUnderTest) -> None:
    """Begun again with its moment it goes on: what it made due, or was tried since, is done."""
    db, meant = table.db, DeliveryFilter(owner="ada", states=frozenset({DeliveryState.PENDING}))
    waiting = {delivery_of(db, ended(table)).id for _ in range(4)}
    for claimed in claim(db):
        record_attempt(db, claimed, replace(LATER, delay_s=3600.0))
    due = delivery_of(db, ended(table)).id
    as_of = later(db)
    assert count_replays(db, meant, as_of) == {"job.cancelled": 4}
    chunk = next(walk_deliveries(db, meant, as_of, chunk=2))
    assert sorted(replay_deliveries(db, chunk)) == sorted(chunk)
    (left,) = walk_deliveries(db, meant, as_of)
    assert {*left} == waiting - {*chunk}
    later(db)
    tried = claim(db)
    for claimed in tried:
        record_attempt(db, claimed, replace(LATER, delay_s=3600.0))
    assert {each.delivery.id for each in tried} == {*chunk, due}
    assert [*walk_deliveries(db, meant, as_of)] == [left]
    assert count_replays(db, meant, later(db)) == {"job.cancelled": 5}


def later(db: Database) -> datetime:
    """A moment after all that was done so far; SQLite's are milliseconds."""
    done = database_time(db)
    while (moment := database_time(db)) == done:
        pass
    return moment


def test_what_ended_long_ago_is_swept_with_its_log(table: TableUnderTest) -> None:
    """And what has still to be sent is kept, however old."""
    done, waiting = ended(table), ended(table)
    for claimed, verdict in zip(claim(table.db), (DONE, LATER), strict=True):
        record_attempt(table.db, claimed, verdict)
    told = delivery_of(table.db, done)
    assert sweep_deliveries(table.db, ended_before_s=60) == 0
    assert sweep_deliveries(table.db, ended_before_s=-60, limit=10) == 1
    assert find_delivery(table.db, told.id) is None
    assert delivery_log(table.db, told.id) == []
    assert len(delivery_log(table.db, delivery_of(table.db, waiting).id)) == 1


def test_a_batch_is_told_when_it_closes_and_again_when_it_closes_again(
    table: TableUnderTest,
) -> None:
    """In the transaction that closes it; its jobs have no delivery, as they have no callback."""
    batch, _ = create_batch(table.db, id=uuid4(), owner="ada", key="night", callback=URL)
    create_batch(table.db, id=batch.id, owner="ada", key="night", callback=URL)
    jobs = [new_job(batch_id=batch.id, owner="ada") for _ in range(2)]
    insert_jobs(table.db, jobs)
    assert open_batch(table.db, batch.id, 2)
    assert batch_callback(table.db, batch.id) == URL
    table.finished(jobs[0].id)
    fold_batch_deltas(table.db)
    assert latest_delivery(table.db, batch_id=batch.id) is None
    ask_cancel(table.db, jobs[1].id)
    fold_batch_deltas(table.db)
    fold_batch_deltas(table.db)
    (claimed,) = claim(table.db)
    assert (claimed.delivery.event, claimed.delivery.batch_id) == ("batch.completed", batch.id)
    told = json.loads(claimed.body or "")
    counts = {name: told["data"][name] for name in ("total", "succeeded", "failed", "cancelled")}
    assert counts == {"total": 2, "succeeded": 1, "failed": 0, "cancelled": 1}
    assert (told["data"]["key"], told["data"]["status"]) == ("night", "ended")
    assert told["timestamp"] == told["data"]["closed_at"]
    record_attempt(table.db, claimed, DONE)
    retry_ended(table.db, [jobs[1].id])
    fold_batch_deltas(table.db)
    table.finished(jobs[1].id)
    fold_batch_deltas(table.db)
    (again,) = claim(table.db)
    assert again.delivery.id != claimed.delivery.id
    assert json.loads(again.body or "")["data"]["succeeded"] == 2


def test_a_batch_that_ended_before_it_was_opened_is_told(table: TableUnderTest) -> None:
    """A caller cancelled its jobs while it was submitted. An abandoned batch has no delivery."""
    for opened in (True, False):
        batch, _ = create_batch(table.db, id=uuid4(), owner="ada", callback=URL)
        job = new_job(batch_id=batch.id, owner="ada")
        insert_jobs(table.db, [job])
        ask_cancel(table.db, job.id)
        fold_batch_deltas(table.db)
        if opened:
            assert open_batch(table.db, batch.id, 1)
        else:
            assert delete_loading(table.db, batch.id)
            assert batch_callback(table.db, batch.id) is None
    assert [each.delivery.event for each in claim(table.db)] == ["batch.completed"]


def test_an_owner_has_one_secret_or_two_while_they_change(table: TableUnderTest) -> None:
    """The newest first; the others are dropped when a caller asks for it."""
    db = table.db
    assert signing_secrets(db, ["ada"])["ada"] == []
    assert add_secret(db, "ada", "whsec_1", most=1)
    assert not add_secret(db, "ada", "whsec_2", most=1)
    assert add_secret(db, "ada", "whsec_2", most=2)
    assert not add_secret(db, "ada", "whsec_3", most=2)
    add_secret(db, "bob", "whsec_b", most=1)
    assert signing_secrets(db, ["ada"])["ada"] == ["whsec_2", "whsec_1"]
    assert drop_old_secrets(db, "ada") == 1
    assert signing_secrets(db, ["ada"])["ada"] == ["whsec_2"]
    assert signing_secrets(db, ["bob"])["bob"] == ["whsec_b"]


@pytest.mark.parametrize("column", ["id", "target"])
def test_deliveries_hold_what_they_are_for(table: TableUnderTest, column: str) -> None:
    """An id in its usual form, and the target as it was submitted."""
    ended(table)
    rows = table.db.tables.deliveries
    with table.db.read() as connection:
        found = connection.execute(select(rows.c[column])).scalar_one()
    assert isinstance(found, UUID) if column == "id" else found == URL
