"""Servers for the guard: the real ones of the run, the prepared 1.5 MB picture, and the sink."""

from collections.abc import Iterator

import pytest

from benchmarks.servers.servers import DEFAULTS, Servers
from benchmarks.servers.sink_process import sink_in
from tests.performance.warm_worker import WarmWorker
from tests.services.postgres import PostgresServer
from tests.services.redis import RedisServer
from tests.services.simulator import simulator_in


@pytest.fixture(scope="module")
def servers(
    _postgres_of_session: PostgresServer,
    _redis_of_session: RedisServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Servers]:
    """What `make bench` stands on, with the databases that other tests use too."""
    folder = tmp_path_factory.mktemp("bench")
    found = Servers(
        folder=folder,
        scale=DEFAULTS,
        redis=_redis_of_session,
        postgres=_postgres_of_session,
        s3=sink_in(folder),
        simulator=simulator_in(folder, "--canned"),
    )
    for server in (found.s3, found.simulator):
        server.start()
    yield found
    for server in (found.simulator, found.s3):
        server.stop()


@pytest.fixture(scope="module")
def worker(servers: Servers) -> Iterator[WarmWorker]:
    """A worker's components in this process, without Celery, that has done a job already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "test-access-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret-key")
        made = WarmWorker(servers)
        made.start()
        yield made
        made.close()
