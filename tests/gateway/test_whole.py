"""The whole way: a stranger's HTTP request, a fleet of one worker, a picture from the bucket."""

import hashlib
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import requests

from chaos.fleet.forked import ForkedCommand
from chaos.fleet.worker import WorkerProcess
from storage.db.database import Database
from storage.owners.api_keys import create_key
from tasks.notices.ended import ids_of
from tests.darkroom.cli.conftest import plain_environment
from tests.gateway.running import WITHIN_S
from tests.services import S3Endpoint, Simulator
from tests.tasks.notices.heard import heard
from tests.waiting import wait_until


def test_a_job_over_http_becomes_a_picture_while_its_sender_waits(
    new_migrated_postgres_url: str,
    redis_url: str,
    s3: S3Endpoint,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    """Real processes, PostgreSQL, Valkey and S3; one request in, one picture out, one call paid."""
    database = Database(new_migrated_postgres_url)
    secret = create_key(database, owner="shop", scopes=["submit", "read"]).secret
    database.close()
    environment = plain_environment() | {
        "DARKROOM_DATABASE_URL": new_migrated_postgres_url,
        "DARKROOM_BROKER_URL": redis_url,
        "DARKROOM_S3_BUCKET": s3.bucket,
        "DARKROOM_S3_ENDPOINT_URL": s3.endpoint_url,
        "DARKROOM_S3_ADDRESSING": "path",
        "DARKROOM_PLAYGROUND_URL": simulator.url,
        "DARKROOM_PLAYGROUND_API_KEY": simulator.api_key,
        "DARKROOM_SPOOL_DIR": str(tmp_path / "spool"),
        "DARKROOM_CONCURRENCY": "4",
        "DARKROOM_GATEWAY_PORT": "0",
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }
    log = tmp_path / "gateway.log"
    with (
        working(environment, tmp_path / "worker.log"),
        running_gateway(environment, log),
        heard(redis_url, "darkroom") as notices,
    ):
        url = wait_until(lambda: _address(log.read_text("utf-8")))
        me = {"Authorization": f"Bearer {secret}"}
        body = {"request": {"prompt": "a paper fox", "width": 64, "height": 64}}
        how = {**me, "Idempotency-Key": "order-17", "Prefer": "wait=60"}
        first = requests.post(f"{url}/v1/jobs", json=body, headers=how, timeout=90)
        again = requests.post(f"{url}/v1/jobs", json=body, headers=how, timeout=90)
        job = first.json()
        assert (first.status_code, job["status"]) == (200, "succeeded"), first.text
        assert (job["owner"], job["calls"]["made"]) == ("shop", 1)
        assert again.json()["id"] == job["id"]
        path = f"{url}/v1/jobs/{job['id']}/images/0"
        picture = requests.get(path, headers=me, timeout=WITHIN_S).content
        wait_until(lambda: notices)
    assert [ids_of(each) for each in notices] == [[UUID(job["id"])]]
    assert simulator.charged("a paper fox") == 1
    assert hashlib.sha256(picture).hexdigest() == job["images"][0]["sha256"]
    assert picture.startswith(b"\x89PNG")


def _address(log: str) -> str | None:
    """What the gateway said it listens on."""
    _, _, rest = log.partition("gateway listening on ")
    return rest.split()[0] if "\n" in rest else None


@contextmanager
def working(environment: dict[str, str], log: Path) -> Iterator[None]:
    """A worker, until the block ends."""
    worker = WorkerProcess(environment, log.parent, log, None)
    try:
        yield
    finally:
        worker.kill()


@contextmanager
def running_gateway(environment: dict[str, str], log: Path) -> Iterator[None]:
    """A gateway, until the block ends."""
    log.touch()
    gateway = ForkedCommand(["gateway"], environment, log.parent, out=log)
    try:
        yield
        gateway.signal(signal.SIGTERM)
        assert gateway.wait(WITHIN_S) in {0, -signal.SIGTERM}, log.read_text("utf-8")
    finally:
        gateway.kill()
