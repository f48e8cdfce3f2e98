"""A real gateway over real services: uvicorn on a thread, either database, Valkey and S3.

A test file may override `routers` or `authenticate` to try a part that is not wired yet, or
callers of its own. `gateway` runs a test on both databases, `one_gateway` on SQLite alone.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest
from fastapi import APIRouter

from darkroom.settings import load_settings
from darkroom.wiring.gateway import ROUTERS, GatewayWiring
from gateway.auth.caller import Authenticate, anyone
from gateway.services import Services
from tests.gateway.running import Gateway, serving
from tests.gateway.shared import SharedServers
from tests.services import S3Endpoint

Running = Callable[[GatewayWiring], Iterator[Gateway]]


@pytest.fixture
def routers() -> tuple[Callable[[Services], APIRouter], ...]:
    """The parts that are served."""
    return ROUTERS


@pytest.fixture
def authenticate() -> Authenticate:
    """Who the callers are."""
    return anyone


@pytest.fixture
def overrides() -> dict[str, object]:
    """Settings that a test wants otherwise."""
    return {}


@pytest.fixture
def start(
    *,
    redis_url: str,
    s3: S3Endpoint,
    routers: tuple[Callable[[Services], APIRouter], ...],
    authenticate: Authenticate,
    overrides: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[str], GatewayWiring]:
    """Makes the wiring of a gateway over a database."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3.secret_access_key)

    def make(database_url: str) -> GatewayWiring:
        settings = load_settings(
            database_url=database_url,
            broker_url=redis_url,
            s3_bucket=s3.bucket,
            s3_endpoint_url=s3.endpoint_url,
            s3_addressing="path",
            **overrides,
        )
        wiring = GatewayWiring(settings)
        wiring.routers = routers
        wiring.authenticate = authenticate
        return wiring

    return make


@pytest.fixture(scope="module")
def shared() -> Iterator[SharedServers]:
    """Servers for the tests of a file whose gateways have the usual settings."""
    with ExitStack() as stack:
        yield SharedServers(stack)


@pytest.fixture
def running(shared: SharedServers, overrides: dict[str, object]) -> Running:
    """Runs a gateway: alone where it has settings of its own."""
    serve = serving_alone if overrides else shared.serving
    return lambda wiring: _running(wiring, serve)


@pytest.fixture
def gateway(
    start: Callable[[str], GatewayWiring], running: Running, migrated_url: str
) -> Iterator[Gateway]:
    """A gateway that runs, once over each database."""
    yield from running(start(migrated_url))


@pytest.fixture
def one_gateway(
    start: Callable[[str], GatewayWiring], running: Running, migrated_sqlite_url: str
) -> Iterator[Gateway]:
    """A gateway that runs over SQLite, for what has nothing to do with the database."""
    yield from running(start(migrated_sqlite_url))


def serving_alone(wiring: GatewayWiring) -> AbstractContextManager[str]:
    """Serve with a server of its own; the address."""
    return serving(wiring.gateway)


def _running(
    wiring: GatewayWiring,
    serve: Callable[[GatewayWiring], AbstractContextManager[str]] = serving_alone,
) -> Iterator[Gateway]:
    with serve(wiring) as url:
        yield Gateway(url, wiring.services, {})
    wiring.dispatch.close()  # what it had still to send would reach the next test's broker
    wiring.database.close()
    wiring.objects.close()
    wiring.app.close()
