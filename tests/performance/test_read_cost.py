"""What reading jobs over HTTP may cost the database, counted on the wire: statements."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from benchmarks.figures.wiretap import Wiretap, tapped
from darkroom.settings import load_settings
from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import anyone
from gateway.jobs import routes as jobs
from storage.dispatch.queue_outline import EVERY_S
from tests.gateway.running import Gateway, serving
from tests.storage.table import TableUnderTest

JOBS = 12

OUTLINE = 4  # statements, if all ready jobs have the same priority


@dataclass(frozen=True)
class Tapped:
    """A gateway whose statements are counted, and the table behind it."""

    gateway: Gateway
    tap: Wiretap
    table: TableUnderTest

    def statements_of(self, *paths: str) -> int:
        """The statements that these requests cost together."""
        before = self.tap.statements
        for path in paths:
            assert self.gateway.get(path).status_code == 200
        return self.tap.statements - before


@pytest.fixture
def tapped_gateway(new_migrated_postgres_url: str) -> Iterator[Tapped]:
    """A gateway over PostgreSQL that looks up no keys, and has answered already."""
    with tapped(new_migrated_postgres_url) as (tap, url):
        wiring = GatewayWiring(load_settings(database_url=url, s3_bucket="pictures"))
        wiring.routers = (jobs.router,)
        wiring.authenticate = anyone
        with serving(wiring.gateway) as address:
            found = Tapped(
                Gateway(address, wiring.services, {}), tap, TableUnderTest(wiring.database)
            )
            found.gateway.get("/v1/jobs")
            yield found
        wiring.database.close()
        wiring.app.close()


def path_of(job_id: UUID) -> str:
    """The address of a job."""
    return f"/v1/jobs/{job_id}"


def test_a_job_that_is_not_queued_is_one_statement(tapped_gateway: Tapped) -> None:
    """Its row, the source of its image and its latest delivery together."""
    table = tapped_gateway.table
    ended = [table.accept(callback_url="https://shop.example.com/hook") for _ in range(JOBS)]
    for job_id in ended:
        table.finished(job_id)
    held = table.accept()
    table.claimed(held)
    paths = [path_of(job_id) for job_id in (*ended, held)]
    assert tapped_gateway.statements_of(*paths) == len(paths)


def test_queued_jobs_share_an_outline_a_second(tapped_gateway: Tapped) -> None:
    """Each is one statement, and the outline is read once in each second that the test takes."""
    ids = [tapped_gateway.table.accept() for _ in range(JOBS)]
    began_s = time.monotonic()
    sent = tapped_gateway.statements_of(*map(path_of, ids))
    outlines = 1 + int((time.monotonic() - began_s) / EVERY_S)
    assert JOBS < sent <= JOBS + OUTLINE * outlines


def test_a_page_is_one_statement(tapped_gateway: Tapped) -> None:
    """However many jobs are on it, and with any filter but that of a batch, which is looked up."""
    for _ in range(JOBS):
        tapped_gateway.table.accept(callback_url="https://shop.example.com/hook")
    paths = ("/v1/jobs", "/v1/jobs?limit=5", "/v1/jobs?status=queued&since=2026-01-01T00:00:00Z")
    assert tapped_gateway.statements_of(*paths) == len(paths)
