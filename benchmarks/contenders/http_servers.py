"""Run servers that accept jobs over HTTP: the gateway that users start, and the bare route."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.contenders.bare_route import DATABASE
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from tests.services.postgres import psycopg_url
from tests.services.server import Server

__all__ = ["bare_route", "gateway"]

REPO = Path(__file__).parents[2]


@contextmanager
def gateway(fleet: DarkroomFleet, folder: Path, **settings: object) -> Iterator[Server]:
    """Run a gateway over a fleet's table.

    Args:
        fleet: whose settings it has.
        folder: for its log.
        settings: further settings, by field name.
    """
    named = {**fleet.fleet.settings, **settings}
    environment = {f"DARKROOM_{name.upper()}": str(value) for name, value in named.items()}
    environment |= {
        "PYTHONPATH": str(REPO),
        "AWS_ACCESS_KEY_ID": fleet.fleet.bucket.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fleet.fleet.bucket.secret_access_key,
    }
    start = [sys.executable, "-P", "-m", "darkroom", "gateway", "--port"]
    with _running("gateway", start, environment, folder) as server:
        yield server


@contextmanager
def bare_route(fleet: DarkroomFleet, folder: Path) -> Iterator[Server]:
    """Run the bare route, with a table of its own in the fleet's database."""
    start = [sys.executable, "-P", "-m", "benchmarks.contenders.bare_route", "--port"]
    address = psycopg_url(fleet.fleet.database_url)
    environment = {"PYTHONPATH": str(REPO), DATABASE: address}
    with _running("bare-route", start, environment, folder) as server:
        yield server


@contextmanager
def _running(
    name: str, start: list[str], environment: dict[str, str], folder: Path
) -> Iterator[Server]:
    server = Server(
        name, lambda port: [*start, str(port)], _answers, folder=folder, env=environment
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _answers(port: int) -> bool:
    connection = HTTPConnection(Server.host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except HTTPException:
        return False
    finally:
        connection.close()
