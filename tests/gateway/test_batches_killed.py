"""A gateway that dies in mid-load: nothing of the batch runs, and sent again it is whole."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import UUID

import pytest
import requests
from sqlalchemy import func, select

from storage import Database, batch_progress, delete_unopened, list_batches, reserve_due
from tests.cli.conftest import plain_environment
from tests.gateway.running import WITHIN_S, wait_until
from tests.services import S3Endpoint

LINES = 30_000
BODY = b"".join(
    json.dumps({"prompt": f"a paper fox {n}", "key": f"sku-{n}"}).encode() + b"\n"
    for n in range(LINES)
)


@pytest.fixture
def environment(table_url: str, redis_url: str, s3: S3Endpoint) -> dict[str, str]:
    """An installation without keys, once on each database."""
    return plain_environment() | {
        "DARKROOM_DATABASE_URL": table_url,
        "DARKROOM_BROKER_URL": redis_url,
        "DARKROOM_S3_BUCKET": s3.bucket,
        "DARKROOM_S3_ENDPOINT_URL": s3.endpoint_url,
        "DARKROOM_GATEWAY_PORT": "0",
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }


@pytest.fixture
def database(table_url: str) -> Iterator[Database]:
    """The results table."""
    found = Database(table_url)
    yield found
    found.close()


@contextmanager
def running(
    environment: dict[str, str], folder: Path
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A gateway process and its address; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "darkroom", "gateway"],
        env=environment,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            line = process.stderr.readline()
            assert line, "the gateway did not start"
            found = re.search(r"listening on (http://\S+)", line)
        yield process, found[1]
    finally:
        process.kill()
        process.communicate()


def hand_in(url: str) -> requests.Response:
    """Hand the batch in under its key."""
    headers = {"Content-Type": "application/jsonl", "Idempotency-Key": "night"}
    return requests.post(f"{url}/v1/batches", data=BODY, headers=headers, timeout=4 * WITHIN_S)


def count_jobs(database: Database) -> int:
    """Rows of jobs, those of unopened batches too."""
    with database.read() as connection:
        found: int = connection.scalar(select(func.count()).select_from(database.tables.jobs)) or 0
    return found


def killed_in_mid_load(environment: dict[str, str], folder: Path, database: Database) -> None:
    """Leave a batch half loaded by a process that is gone."""
    with running(environment, folder) as (process, url):

        def send() -> None:
            with suppress(requests.RequestException):
                hand_in(url)

        sending = threading.Thread(target=send)
        sending.start()
        wait_until(lambda: count_jobs(database))
        process.kill()
        process.wait()
        sending.join()
    assert 0 < count_jobs(database) < LINES
    (batch,) = list_batches(database)
    assert batch.opened_at is None
    assert reserve_due(database, limit=10, stale_after_s=60) == []


def test_a_gateway_killed_in_mid_load_and_the_batch_sent_again_make_it_once(
    environment: dict[str, str], tmp_path: Path, database: Database
) -> None:
    """The second sending completes what the first began: every line once, under one batch."""
    killed_in_mid_load(environment, tmp_path, database)
    with running(environment, tmp_path) as (_, url):
        answer = hand_in(url)
        again = hand_in(url)
    assert (answer.status_code, again.status_code) == (202, 200)
    assert answer.json()["id"] == again.json()["id"]
    assert batch_progress(database, UUID(answer.json()["id"])).queued == LINES
    assert count_jobs(database) == LINES
    assert len(list_batches(database)) == 1


def test_a_load_that_nobody_takes_up_is_deleted(
    environment: dict[str, str], tmp_path: Path, database: Database
) -> None:
    """What the dispatcher does a day later takes batch and jobs away."""
    killed_in_mid_load(environment, tmp_path, database)
    assert delete_unopened(database, list_batches(database)[0].id)
    assert (count_jobs(database), list_batches(database)) == (0, [])
