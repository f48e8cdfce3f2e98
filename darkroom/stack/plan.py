"""The plan of a stack: plain values for what to start and what to use."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from darkroom.errors import UserError
from darkroom.stack.ports import LAST_PORT

SERVICE_PORTS = ("broker", "s3", "simulator", "gateway")


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """How the simulator behaves if it is started.

    Attributes:
        latency_scale: Factor on its usual latency; 0 answers at once.
        latency_range_s: Lowest and highest seconds of a call, instead of those computed from steps
            and size.
        canned: Whether it returns one prepared picture instead of drawing.
    """

    latency_scale: float = 1.0
    latency_range_s: tuple[float, float] | None = None
    canned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StackPlan:
    """One machine's Darkroom. If a service's address is given, it is used; otherwise it is started.

    Attributes:
        data_dir: The one folder all data and logs live under.
        environment: What children inherit: normally a copy of `os.environ`.
        workers: Worker processes.
        concurrency: Calls in flight per worker; the setting's default when None.
        broker_url: Broker to use, or None to start a Redis or Valkey.
        database_url: Database to use, or None for a SQLite file in the folder.
        s3_bucket: Bucket to use, or None to start an S3 endpoint with a bucket of its own.
        s3_endpoint_url: Where that bucket is; None with a bucket means AWS.
        playground_url: The image API to call, or None to start the simulator.
        ports: Fixed ports by service (`broker`, `s3`, `simulator`, `gateway`); a free one where 0
            or none.
        simulator: How the simulator behaves.
        drain_s: How long stopping workers may take to end their calls.
        worker_command: How one worker is started.
        with_gateway: Whether jobs can be submitted over HTTP.
        gateway_command: How the gateway is started; its address is added.
    """

    data_dir: Path
    environment: Mapping[str, str] = field(repr=False)
    workers: int = 1
    concurrency: int | None = None
    broker_url: str | None = field(default=None, repr=False)
    database_url: str | None = field(default=None, repr=False)
    s3_bucket: str | None = None
    s3_endpoint_url: str | None = None
    playground_url: str | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    simulator: SimulatorOptions = field(default_factory=SimulatorOptions)
    drain_s: float = 150.0
    worker_command: tuple[str, ...] = (sys.executable, "-P", "-m", "darkroom", "worker")
    with_gateway: bool = False
    gateway_command: tuple[str, ...] = (sys.executable, "-P", "-m", "darkroom", "gateway")

    def check(self) -> None:
        """Refuse a plan that mixes up real and simulated, or that can't be executed.

        Raises:
            UserError: Names the setting and what to do.
        """
        if self.s3_endpoint_url is not None and self.s3_bucket is None:
            raise UserError(
                "DARKROOM_S3_ENDPOINT_URL is set but DARKROOM_S3_BUCKET is not: name the bucket, "
                "or unset both to start a local S3"
            )
        if self.playground_url is None:
            self._refuse_simulator_with("DARKROOM_S3_BUCKET", self.s3_bucket)
            self._refuse_simulator_with("DARKROOM_DATABASE_URL", self.database_url)
        for name, port in self.ports.items():
            if name not in SERVICE_PORTS or not 0 <= port <= LAST_PORT:
                raise UserError(f"port {port} for {name!r}: ports are 0 to 65535", exit_status=2)

    @staticmethod
    def _refuse_simulator_with(setting: str, value: str | None) -> None:
        if value is not None:
            raise UserError(
                f"{setting} is set, DARKROOM_PLAYGROUND_API_KEY is not: simulated pictures don't "
                f"go among real ones; set the key, or unset {setting} to keep everything local"
            )
