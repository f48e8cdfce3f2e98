"""The servers that a run stands on: chaos's ground, with the sink in the place of S3.

What each server is charged is read apart from what the workers are: a figure says what an image
costs the fleet's own processes, and what it costs those beside it.
"""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import orjson

from benchmarks.processes import charged_s
from benchmarks.sink import PUTS_PATH
from chaos import Ground, Scale
from tests.services.postgres import installed, running
from tests.services.redis import valkey_in
from tests.services.s3 import S3Server
from tests.services.server import Server
from tests.services.simulator import simulator_in

__all__ = ["DEFAULTS", "Charges", "Sink", "charges", "ground"]

REPO = Path(__file__).parents[1]

#: Chaos shortens what settings say in proportion to its lease; at 20 s they are the defaults.
DEFAULTS = Scale("bench", 0, 0, (1.0, 1.0), 20.0, 256, 256, is_canned=True, patience_s=600)


class Sink(S3Server):
    """The minimal S3, as a process."""

    def puts(self, bucket: str) -> int:
        """How many objects a bucket was given."""
        connection = HTTPConnection(self.host, self.port, timeout=30)
        try:
            connection.request("GET", PUTS_PATH)
            found: dict[str, int] = orjson.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found.get(bucket, 0)


def _answers(port: int) -> bool:
    connection = HTTPConnection(Server.host, port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status == 200
    except HTTPException:
        return False
    finally:
        connection.close()


def sink_in(folder: Path, *options: str) -> Sink:
    """A sink that is still to be started, logging into this folder."""
    start = [sys.executable, "-m", "benchmarks.sink"]
    return Sink(
        "sink",
        lambda port: [*start, "--port", str(port), *options],
        _answers,
        folder=folder,
        env={"PYTHONPATH": str(REPO)},
    )


@dataclass(frozen=True, slots=True)
class Charges:
    """Seconds of CPU that the servers were charged, each with all its children."""

    postgres: float
    broker: float
    simulator: float
    sink: float

    def since(self, before: "Charges") -> "Charges":
        """What came on top."""
        return Charges(
            self.postgres - before.postgres,
            self.broker - before.broker,
            self.simulator - before.simulator,
            self.sink - before.sink,
        )


def charges(servers: Ground) -> Charges:
    """What the servers were charged up to now."""
    return Charges(
        postgres=charged_s(servers.postgres.pid),
        broker=charged_s(servers.redis.pid),
        simulator=charged_s(servers.simulator.pid),
        sink=charged_s(servers.s3.pid),
    )


@contextmanager
def ground() -> Iterator[Ground]:
    """Start the servers; all are stopped and their data deleted at the end."""
    folder = Path(tempfile.mkdtemp(prefix="darkroom-bench-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        servers = Ground(
            folder=folder,
            scale=DEFAULTS,
            redis=valkey_in(folder, "--appendonly", "no"),
            postgres=stack.enter_context(running(stack.enter_context(installed()))),
            s3=sink_in(folder),
            simulator=simulator_in(folder, "--canned"),
        )
        for server in (servers.redis, servers.s3, servers.simulator):
            server.start()
            stack.callback(server.stop)
        yield servers
