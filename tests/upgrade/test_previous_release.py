"""What the release before wrote is served by this one: rows, messages and images in a spool."""

import hashlib
import importlib
from pathlib import Path
from uuid import UUID, uuid4

import boto3
import pytest
from sqlalchemy import select, update

from storage.batches.counts import batch_progress
from storage.db.database import Database
from storage.fleet.leases import WorkerInfo, live_workers, register_worker
from storage.fleet.worker_calls import peers_of
from storage.jobs.cancel import retry_ended
from storage.migrations.migrate import check_schema, migrate, schema_status
from storage.queries.get import get_job
from storage.schema.clock import after
from storage.schema.revision import CURRENT
from tests.acceptance.conftest import Fleet, MakeFleet
from tests.services import S3Endpoint, Simulator
from tests.upgrade.conftest import BEFORE, MigrateTo, insert_frozen_rows

MARK = "frozen harbour"
BATCH = UUID("00000000-0000-4000-8000-0000000000b1")
SERVED = (1, 2, 3, 4, 5, 13, 14, 31, 32)


def job(number: int) -> UUID:
    """The frozen job of this number."""
    return UUID(f"00000000-0000-4000-8000-{number:012}")


def test_rows_messages_and_spools_of_the_release_before_are_served(
    upgraded: Fleet, simulator: Simulator, s3: S3Endpoint
) -> None:
    """Waiting, sent out, put off, running, storing, half a batch: each ends, and at its price."""
    upgraded.start_worker(lease_s=4)  # so that what a dead worker held is rescued soon
    jobs = {n: upgraded.wait_for(job(n), "succeeded", "failed") for n in SERVED}
    assert {n: found.status for n, found in jobs.items()} == dict.fromkeys(SERVED, "succeeded")
    calls = {n: (found.calls_made, found.calls_unknown) for n, found in jobs.items()}
    assert calls == dict.fromkeys(SERVED, (1, 0)) | {4: (2, 1)}
    assert (jobs[2].metadata, jobs[31].priority, jobs[32].request["seed"]) == ({"sku": 7}, 5, 132)
    # Of the two calls of 04, the first was the dead worker's; the image of 05 was made before.
    assert simulator.charged(MARK) == len(SERVED) - 1
    refused = upgraded.wait_for(job(33), "failed")
    assert refused.error is not None
    assert refused.error.code == "INVALID_REQUEST"
    upgraded.wait_until(lambda: batch_progress(upgraded.database, BATCH).ended == 4)
    progress = batch_progress(upgraded.database, BATCH)
    assert (progress.succeeded, progress.failed) == (3, 1)
    _no_less_and_no_more(upgraded, s3)
    daily = upgraded.database.tables.daily_calls
    with upgraded.database.read() as connection:  # a count of a year ago is of no use any more
        assert connection.execute(select(daily).where(daily.c.day == "2025-11-01")).all() == []


def _no_less_and_no_more(fleet: Fleet, s3: S3Endpoint) -> None:
    """What had ended stays as it was until a caller retries it; what is not open stays hidden."""
    unknown = get_job(fleet.database, job(6))
    assert (unknown.status, unknown.calls_unknown) == ("failed", 2)
    assert get_job(fleet.database, job(7)).images[0].sha256 == "07" * 32
    assert get_job(fleet.database, job(21)).status == "queued"
    spooled = get_job(fleet.database, job(5)).images[0]
    assert hashlib.sha256(_stored(s3, spooled.key)).hexdigest() == spooled.sha256
    assert retry_ended(fleet.database, [job(6)]) == [job(6)]
    again = fleet.wait_for(job(6), "succeeded")
    assert (again.calls_made, again.calls_unknown) == (3, 2)


def _stored(s3: S3Endpoint, key: str) -> bytes:
    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint_url,
        region_name=s3.region,
        aws_access_key_id=s3.access_key_id,
        aws_secret_access_key=s3.secret_access_key,
    )
    body: bytes = client.get_object(Bucket=s3.bucket, Key=key)["Body"].read()
    client.close()
    return body


def test_a_worker_refuses_the_schema_of_the_release_before_in_one_line(
    make_fleet: MakeFleet, previous_url: str, redis_url: str, s3: S3Endpoint, tmp_path: Path
) -> None:
    """It names the command, and touches nothing."""
    other = f"sqlite:///{tmp_path / 'other.db'}"
    fleet = make_fleet(database_url=other, broker_url=redis_url, s3=s3)
    worker = fleet.start_worker(database_url=previous_url)
    assert worker.wait(60) == 1
    assert "Traceback" not in fleet.logs()
    said = [line for line in fleet.logs().splitlines() if "revision" in line]
    assert len(said) == 1, said
    assert (
        f"is at revision {BEFORE}, this release needs {CURRENT}: run `darkroom migrate`" in said[0]
    )
    database = Database(previous_url)
    assert schema_status(database) == (BEFORE, CURRENT)
    database.close()


def test_the_release_before_goes_on_over_the_new_schema(
    database_url: str, migrate_to: MigrateTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Migrated first, upgraded one by one: its check lets it, and its rows still fit."""
    database = Database(database_url)
    migrate_to(database, BEFORE)
    migrate(database)
    monkeypatch.setattr(importlib.import_module("storage.migrations.migrate"), "CURRENT", BEFORE)
    check_schema(database)
    insert_frozen_rows(database)
    assert get_job(database, job(2)).idempotency_key == "order-4711-cover"
    database.close()


def test_a_worker_of_the_release_before_lives_on_in_the_new_columns(previous_url: str) -> None:
    """Its row says nothing of its calls, nor which release it serves, and it counts as alive."""
    database = Database(previous_url)
    migrate(database)
    workers = database.tables.workers
    old = UUID("00000000-0000-4000-8000-0000000000a2")
    with database.begin() as connection:
        # As that release renews: it knows no other column.
        renewed = update(workers).where(workers.c.id == old).values(lease_until=after(60.0))
        connection.execute(renewed)
    [worker] = live_workers(database)
    assert (worker.id, worker.paused_at, worker.succeeded_at) == (old, None, None)
    assert worker.serves_release is None
    failing = uuid4()
    register_worker(database, WorkerInfo(failing, "here", 1, "0", 4, 60.0))
    found = peers_of(database, failing, first_failure_s=60, within_s=60, paused_s=1)
    assert (found.alive, found.unpaused, found.have_succeeded) == (1, 1, False)
    assert get_job(database, job(1)).needs_release is None
    database.close()
