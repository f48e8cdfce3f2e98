"""Each end of a job with a callback gets one delivery, in its transaction, however it came."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import event, select

from storage.batches.counts import fold_batch_deltas
from storage.intake.insert_ended import insert_faulty_job
from storage.jobs.adopt import adopt_image
from storage.jobs.cancel import ask_cancel, expire_due, retry_ended
from storage.jobs.finish import _FINISH_GROUP, finish_if_held
from storage.jobs.quarantine import quarantine_row
from storage.jobs.release import fail_if_held, retry_later_if_held
from storage.jobs.rescue import rescue_dead
from storage.records.call_outcome import CallOutcome
from storage.records.job import JobError, images_to_json
from tests.storage.table import FAULT, TableUnderTest, new_job, picture

URL = "https://shop.example.com/done?token=1"


def deliveries(table: TableUnderTest) -> list[Any]:
    """Every delivery, oldest first."""
    rows = table.db.tables.deliveries
    with table.db.read() as connection:
        return list(connection.execute(select(rows).order_by(rows.c.created_at)).all())


def events(table: TableUnderTest) -> list[str]:
    """What they tell of."""
    return [row.event for row in deliveries(table)]


def test_a_picture_is_told_in_the_form_of_standard_webhooks(table: TableUnderTest) -> None:
    """Type, moment and data; the same on either database, as far as JSON goes."""
    notes = {"sku": 7, "names": ["a", "ü", 'q"']}
    job_id = table.accept(callback_url=URL, owner="ada", metadata=notes, idempotency_key="k1")
    table.finished(job_id)
    (told,) = deliveries(table)
    job = table.job(job_id)
    assert (told.owner, told.event, told.job_id, told.batch_id) == (
        "ada",
        "job.succeeded",
        job_id,
        None,
    )
    assert (told.target, told.state, told.attempts, told.ended_at) == (URL, "pending", 0, None)
    body = json.loads(told.body)
    assert list(body) == ["type", "timestamp", "data"]
    assert body["data"] == {
        "id": str(job_id),
        "status": "succeeded",
        "owner": "ada",
        "batch_id": None,
        "key": "k1",
        "metadata": notes,
        "seed": 7,
        "images": [
            {
                "index": 0,
                "key": f"images/{job_id}/1-0.png",
                "sha256": "ab" * 32,
                "size_bytes": 1000,
                "width": 64,
                "height": 32,
            }
        ],
        "error": None,
        "calls": {"made": 1, "unknown": 0},
        "simulated": False,
        "accepted_at": body["data"]["accepted_at"],
        "ended_at": body["timestamp"],
    }
    assert datetime.fromisoformat(body["timestamp"]) == job.ended_at
    assert datetime.fromisoformat(body["data"]["accepted_at"]) == job.accepted_at
    assert body["timestamp"].endswith("Z")


def _fail(table: TableUnderTest, job_id: UUID) -> None:
    fail_if_held(table.db, job_id, fence=table.claimed(job_id).fence, outcome=CallOutcome(FAULT))


def _cancel_held(table: TableUnderTest, job_id: UUID) -> None:
    fence = table.claimed(job_id).fence
    ask_cancel(table.db, job_id)
    assert deliveries(table) == []
    retry_later_if_held(table.db, job_id, fence=fence, delay_s=0, outcome=CallOutcome(FAULT))


def _expire(table: TableUnderTest, job_id: UUID) -> None:
    table.overwrite(job_id, expires_at=table.job(job_id).accepted_at)
    expire_due(table.db)


def _expire_at_claim(table: TableUnderTest, job_id: UUID) -> None:
    table.overwrite(job_id, expires_at=table.job(job_id).accepted_at)
    assert table.claim(job_id) is None


def _exhaust(table: TableUnderTest, job_id: UUID) -> None:
    table.overwrite(job_id, calls_made=3)
    assert table.claim(job_id) is None


def _rescue(table: TableUnderTest, job_id: UUID) -> None:
    table.claimed(job_id)
    rescue_dead(table.db, max_unknown_calls=0, spool_grace_s=0)


def _adopt(table: TableUnderTest, job_id: UUID) -> None:
    table.claimed(job_id)
    adopt_image(table.db, job_id, fence=1, images=picture(job_id, 1))


def _finish_stopped(table: TableUnderTest, job_id: UUID) -> None:
    fence = table.claimed(job_id).fence
    ask_cancel(table.db, job_id)
    finish_if_held(table.db, job_id, fence=fence, images=picture(job_id, fence))


ENDS: dict[str, tuple[str, Callable[[TableUnderTest, UUID], object]]] = {
    "failed": ("job.failed", _fail),
    "cancelled while it waits": ("job.cancelled", lambda t, i: ask_cancel(t.db, i)),
    "cancelled when its call ends": ("job.cancelled", _cancel_held),
    "cancelled with its picture": ("job.cancelled", _finish_stopped),
    "too late": ("job.cancelled", _expire),
    "too late at its claim": ("job.cancelled", _expire_at_claim),
    "out of calls": ("job.failed", _exhaust),
    "lost with its worker": ("job.failed", _rescue),
    "found in a spool": ("job.succeeded", _adopt),
    "unreadable": (
        "job.failed",
        lambda t, i: quarantine_row(t.db, i, token=uuid4(), reason="half a disk block"),
    ),
}


@pytest.mark.parametrize("how", ENDS)
def test_every_way_to_end_is_told_once(table: TableUnderTest, how: str) -> None:
    """And a repeat of it, after a lost answer, adds no second delivery."""
    expected, end = ENDS[how]
    job_id = table.accept(callback_url=URL)
    silent = table.accept()
    end(table, job_id)
    assert events(table) == [expected]
    body = json.loads(deliveries(table)[0].body)
    job = table.job(job_id)
    assert body["data"]["status"] == job.status
    assert len(body["data"]["images"]) == len(job.images)
    assert (body["data"]["error"] or {}).get("code") == (job.error and job.error.code)
    ask_cancel(table.db, job_id)
    ask_cancel(table.db, silent)
    assert events(table) == [expected]


def test_a_request_that_was_faulty_from_the_start_is_told(table: TableUnderTest) -> None:
    """Its producer is gone, and is notified so. A repeat of the message adds no second delivery."""
    job = new_job(callback_url=URL)
    for _ in range(2):
        insert_faulty_job(table.db, job, JobError("INVALID_REQUEST", "no prompt", "request"))
    assert events(table) == ["job.failed"]


def test_a_retried_job_that_ends_again_is_told_again(table: TableUnderTest) -> None:
    """Under another id: the receiver has two things to hear."""
    job_id = table.accept(callback_url=URL)
    _fail(table, job_id)
    retry_ended(table.db, [job_id])
    table.finished(job_id)
    assert events(table) == ["job.failed", "job.succeeded"]
    assert len({row.id for row in deliveries(table)}) == 2


def test_a_stale_hand_tells_nobody(table: TableUnderTest) -> None:
    """What changes no row ends nothing."""
    job_id = table.accept(callback_url=URL)
    fence = table.claimed(job_id).fence
    stale = finish_if_held(table.db, job_id, fence=fence + 1, images=picture(job_id, fence))
    assert not stale
    assert deliveries(table) == []


def test_a_row_whose_json_is_damaged_is_told_all_the_same(table: TableUnderTest) -> None:
    """On SQLite any text fits; what cannot be read is reported as null."""
    job_id = table.accept(callback_url=URL, metadata={"a": 1})
    if table.db.dialect == "sqlite":
        with table.db.begin() as connection:
            connection.exec_driver_sql("UPDATE darkroom_jobs SET request = '{', metadata = 'x'")
    quarantine_row(table.db, job_id, token=uuid4(), reason="half a disk block")
    (told,) = deliveries(table)
    assert json.loads(told.body)["data"]["error"]["code"] == "ROW_UNREADABLE"


def test_jobs_that_end_in_one_statement_are_told_one_by_one(table: TableUnderTest) -> None:
    """Those with a callback, each with its own picture."""
    if table.db.dialect == "sqlite":
        pytest.skip("SQLite ends jobs one by one")
    jobs = [table.accept(callback_url=URL, metadata={"n": n}) for n in range(3)]
    jobs.append(table.accept())
    rows = [
        {
            "job_id": each,
            "at_fence": table.claimed(each).fence,
            "new_images": images_to_json(picture(each, 1)),
        }
        for each in jobs
    ]
    assert table.db._change_all(_FINISH_GROUP, rows) == [True] * 4
    told = {row.job_id: json.loads(row.body)["data"] for row in deliveries(table)}
    assert sorted(told) == sorted(jobs[:3])
    for n, each in enumerate(jobs[:3]):
        assert told[each]["metadata"] == {"n": n}
        assert [image["key"] for image in told[each]["images"]] == [f"images/{each}/1-0.png"]


@pytest.mark.parametrize("wants", [False, True])
def test_telling_costs_no_statement_more_where_nobody_listens(
    table: TableUnderTest, *, wants: bool
) -> None:
    """On PostgreSQL not even then: the end and its delivery are one statement."""
    job_id = table.accept(callback_url=URL if wants else None)
    fence = table.claimed(job_id).fence
    sent: list[str] = []

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(table.db._engine, "before_cursor_execute", note)
    finish_if_held(table.db, job_id, fence=fence, images=picture(job_id, fence))
    event.remove(table.db._engine, "before_cursor_execute", note)
    is_sqlite = table.db.dialect == "sqlite"
    changes = [statement for statement in sent if not statement.startswith("BEGIN")]
    assert len(changes) == (1 + wants if is_sqlite else 1)
    assert len(deliveries(table)) == wants


def test_a_line_of_a_batch_tells_its_own_key(table: TableUnderTest) -> None:
    """Not the one that the row has, which begins with the batch's id."""
    batch_id = uuid4()
    job_id = table.accept(
        callback_url=URL, batch_id=batch_id, idempotency_key=f"{batch_id}/product 17"
    )
    ask_cancel(table.db, job_id)
    (told,) = deliveries(table)
    assert json.loads(told.body)["data"]["key"] == "product 17"
    assert told.batch_id == batch_id
    fold_batch_deltas(table.db)
