"""Unreadable rows, and messages with bad ids: logged, quarantined, the other jobs go on."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import redis
from celery import Celery
from sqlalchemy import update

from storage.db.database import Database
from storage.intake.insert import insert_job
from storage.queries.pages import list_jobs
from storage.records.job import NewJob
from storage.records.states import JobStatus
from tests.acceptance.conftest import Fleet
from tests.upgrade.conftest import frozen_messages

SMALL: dict[str, Any] = {"width": 64, "height": 64, "num_inference_steps": 5}
STRANGE = "archived"

#: What the column `request` may have become, all of it good JSON.
NO_REQUESTS: tuple[Any, ...] = (
    [],
    "a lighthouse",
    {},
    {"prompt": "x", "width": "wide"},
    {"prompt": "x", "from_the_future": True},
    {"prompt": ""},
)


def accept(fleet: Fleet, request: object, **columns: Any) -> UUID:
    """Return the id of a row as it stands after an operator has written into it."""
    job = NewJob(id=uuid4(), request={"prompt": "x", "seed": 7}, request_hash="h", **columns)
    insert_job(fleet.database, job)
    jobs = fleet.database.tables.jobs
    with fleet.database.begin() as connection:
        connection.execute(update(jobs).where(jobs.c.id == job.id).values(request=request))
    return job.id


def sql(database: Database, statement: str) -> list[Any]:
    """Run SQL by hand; `darkroom.` is the prefix on SQLite."""
    text = (
        statement.replace("darkroom.", "darkroom_") if database.dialect == "sqlite" else statement
    )
    with database.begin() as connection:
        done = connection.exec_driver_sql(text)
        return list(done) if done.returns_rows else []


def undecodable(fleet: Fleet) -> UUID:
    """A row with a value that the driver itself cannot turn into Python."""
    job_id = accept(fleet, {"prompt": "x", "seed": 7})
    value = "expires_at = 'infinity'"  # beyond any datetime
    if fleet.database.dialect == "sqlite":
        value = """request = '{"prompt": "cut sho'"""
    change = f"UPDATE darkroom.jobs SET {value} WHERE id = '{job_id}'"  # noqa: S608 - our own words
    sql(fleet.database, change)
    return job_id


def from_the_future(fleet: Fleet, count: int) -> list[UUID]:
    """Rows in a state that a newer release has brought, with its CHECKs."""
    ids = [accept(fleet, {"prompt": "x", "seed": 7}, priority=100) for _ in range(count)]
    named = ", ".join(f"'{job_id}'" for job_id in ids)
    change = f"UPDATE darkroom.jobs SET status = '{STRANGE}' WHERE id IN ({named})"  # noqa: S608 - as above
    if fleet.database.dialect == "postgresql":
        sql(fleet.database, "ALTER TABLE darkroom.jobs DROP CONSTRAINT jobs_status_known")
        sql(fleet.database, change)
        return ids
    with fleet.database.begin() as connection:
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
        connection.exec_driver_sql(change.replace("darkroom.", "darkroom_"))
        connection.exec_driver_sql("PRAGMA ignore_check_constraints = OFF")
    return ids


def ring(fleet: Fleet, job_ids: object) -> None:
    """A dispatch, by a stranger."""
    app = Celery("stranger", broker=fleet.environment["DARKROOM_BROKER_URL"], set_as_current=False)
    app.send_task("darkroom.generate", args=[job_ids], queue="darkroom.generate")
    app.close()


def test_unreadable_rows_are_set_aside_and_the_others_go_on(fleet: Fleet) -> None:
    """Each ends as failed with its code, at no price; none takes the worker or the queue along."""
    broken = [accept(fleet, request) for request in NO_REQUESTS]
    broken.append(undecodable(fleet))
    strangers = from_the_future(fleet, 40)
    worker = fleet.start_worker(concurrency=4)
    ring(fleet, [str(strangers[0]), str(broken[0]), "order-4711", None])
    ring(fleet, {"no": "list"})
    good = [fleet.send({"prompt": f"calm {n}", **SMALL}) for n in range(5)]
    for job_id in good:
        assert fleet.wait_for(job_id, "succeeded", "failed").status == "succeeded"
    facts = "SELECT id, status, error_code, error_whose, calls_made FROM darkroom.jobs"

    def rows() -> dict[UUID, tuple[Any, ...]]:
        return {UUID(str(row[0])): tuple(row[1:]) for row in sql(fleet.database, facts)}

    fleet.wait_until(lambda: all(rows()[job_id][0] == "failed" for job_id in broken))
    ended = ("failed", "ROW_UNREADABLE", "darkroom", 0)
    assert {job_id: rows()[job_id] for job_id in broken} == dict.fromkeys(broken, ended)
    assert {rows()[job_id][0] for job_id in strangers} == {STRANGE}
    said = "\n".join(path.read_text() for path in fleet.folder.glob("worker-*.log"))
    assert [job_id for job_id in (*broken, strangers[0]) if str(job_id) not in said] == []
    assert "reason=job_ids error=ValueError" in said  # ids that are no UUIDs
    assert "reason=job_ids error=TypeError" in said  # no list of ids
    assert "Traceback" not in said
    assert worker.exit_status is None
    assert fleet.charged() == len(good)


def test_a_listing_leaves_out_the_one_row_that_cannot_be_read(fleet: Fleet) -> None:
    """The others are shown."""
    known = {accept(fleet, {"prompt": "x", "seed": 7}) for _ in range(3)}
    undecodable(fleet)
    from_the_future(fleet, 1)
    assert {job.id for job in list_jobs(fleet.database)} == known
    assert {job.status for job in list_jobs(fleet.database)} == {JobStatus.QUEUED}


def test_a_message_nobody_can_read_stops_nobody(lite_fleet: Fleet) -> None:
    """Unknown tasks, bodies that are no JSON, a submit without an id: the next one is served.

    A submit whose body cannot be read becomes a failed row, under the id of its headers.
    """
    [dispatch, *_] = frozen_messages()["darkroom.generate"]
    [submit, *_] = frozen_messages()["darkroom.submit"]
    unknown = {**dispatch, "headers": {**dispatch["headers"], "task": "darkroom.from_the_future"}}
    nameless = {**submit, "headers": {**submit["headers"], "id": None}}
    garbled = {**dispatch, "body": base64.b64encode(b"no json").decode()}
    with redis.Redis.from_url(lite_fleet.environment["DARKROOM_BROKER_URL"]) as broker:
        for message in (unknown, garbled):
            broker.lpush("darkroom.generate", json.dumps(message))
        for message in (nameless, {**submit, "body": garbled["body"]}):
            broker.lpush("darkroom.submit", json.dumps(message))
    worker = lite_fleet.start_worker()
    good = lite_fleet.send({"prompt": "calm", **SMALL})
    assert lite_fleet.wait_for(good, "succeeded", "failed").status == "succeeded"
    assert worker.exit_status is None
    unreadable = UUID(submit["headers"]["id"])
    lite_fleet.wait_for(unreadable, "failed")
    codes = {job.id: job.error and job.error.code for job in list_jobs(lite_fleet.database)}
    assert codes == {good: None, unreadable: "INVALID_MESSAGE"}
