"""The servers of a run: chaos's servers, with the sink instead of S3.

The servers' CPU is read separately from the workers'. So a figure gives the cost of an image for
the fleet's own processes, and for the servers.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from benchmarks.servers.certificate import make_certificate
from benchmarks.servers.processes import charged_s
from benchmarks.servers.sink_process import Sink, sink_in
from chaos import Ground, Scale
from chaos.fleet.servers import start_rabbitmq
from tests.services.postgres import installed, running
from tests.services.redis import valkey_in
from tests.services.simulator import simulator_in

__all__ = ["Charges", "Servers", "over_tls", "put_slow_bodies"]

#: Chaos shortens the settings' durations in proportion to its lease; at 20 s they are the defaults.
DEFAULTS = Scale("bench", 0, 0, (1.0, 1.0), 20.0, 20.0, 256, 256, is_canned=True, patience_s=600)

#: The approximate size of the base64 JSON around the simulator's prepared picture.
BODY_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Charges:
    """Seconds of CPU that the servers were charged, each with all its children."""

    postgres: float
    broker: float
    simulator: float
    sink: float

    def each_ms(self, before: "Charges", images: int) -> dict[str, float]:
        """Return the additional milliseconds per image, by server."""
        return {
            "postgres_ms": 1000 * (self.postgres - before.postgres) / images,
            "broker_ms": 1000 * (self.broker - before.broker) / images,
            "simulator_ms": 1000 * (self.simulator - before.simulator) / images,
            "sink_ms": 1000 * (self.sink - before.sink) / images,
        }


@dataclass(frozen=True, slots=True)
class Servers(Ground):
    """Valkey, PostgreSQL, the simulator with its prepared picture, and the sink."""

    s3: Sink

    def charges(self) -> Charges:
        """Return what the servers were charged up to now."""
        return Charges(
            postgres=charged_s(self.postgres.pid),
            broker=charged_s(self.redis.pid),
            simulator=charged_s(self.simulator.pid),
            sink=charged_s(self.s3.pid),
        )

    @classmethod
    @contextmanager
    def started(cls) -> Iterator["Servers"]:
        """Start them; all are stopped and their data deleted at the end."""
        folder = Path(tempfile.mkdtemp(prefix="darkroom-bench-"))
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            servers = cls(
                folder=folder,
                scale=DEFAULTS,
                redis=valkey_in(folder, "--appendonly", "no"),
                postgres=stack.enter_context(running(stack.enter_context(installed()))),
                s3=sink_in(folder),
                simulator=simulator_in(folder, "--canned"),
                rabbitmq=cache(partial(start_rabbitmq, folder, stack)),
            )
            for server in (servers.redis, servers.s3, servers.simulator):
                server.start()
                stack.callback(server.stop)
            yield servers


@contextmanager
def over_tls(servers: Servers) -> Iterator[Servers]:
    """Return the same servers, with a simulator and a sink that use TLS."""
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=servers.folder))
    certificate, key = make_certificate(folder)
    tls = ("--tls-cert", str(certificate), "--tls-key", str(key))
    secure = replace(
        servers,
        s3=sink_in(folder, *tls, ca_bundle=certificate),
        simulator=simulator_in(folder, "--canned", *tls, ca_bundle=certificate),
    )
    with ExitStack() as stack:
        for server in (secure.s3, secure.simulator):
            server.start()
            stack.callback(server.stop)
        yield secure


def put_slow_bodies(servers: Servers, seconds: float) -> None:
    """Make every picture's body take this long to arrive, in five pieces."""
    servers.simulator.put_faults([{"kind": "trickle", "bytes_per_s": BODY_BYTES / seconds}])
