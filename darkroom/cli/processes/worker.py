"""`darkroom worker`: run one worker process of the fleet."""

import signal
from types import FrameType
from typing import Annotated, Never

import typer

__all__ = ["worker"]


def worker(
    concurrency: Annotated[
        int | None, typer.Option(help="Calls in flight; DARKROOM_CONCURRENCY otherwise.")
    ] = None,
) -> None:
    """Run one worker process until it is stopped.

    SIGTERM or Ctrl-C lets its calls end. A second one exits at once, and the fleet rescues the jobs
    it held.

    Example: DARKROOM_CONCURRENCY=512 darkroom worker
    """
    signal.signal(signal.SIGTERM, _leave_before_the_start)
    from socket import gethostname

    from darkroom.checks.preflight import check_worker
    from darkroom.settings import load_settings
    from darkroom.wiring.worker import WorkerWiring

    wiring = WorkerWiring(load_settings(concurrency=concurrency))
    check_worker(wiring)
    process = wiring.app.Worker(
        hostname=f"{wiring.settings.namespace}-{wiring.worker_id.hex[-12:]}@{gethostname()}",
        loglevel=wiring.settings.log_level,
        without_mingle=True,
        without_gossip=True,
        without_heartbeat=True,
        quiet=True,
    )
    process.start()
    raise typer.Exit(process.exitcode or 0)


def _leave_before_the_start(_signum: int, _frame: FrameType | None) -> Never:
    """Exit without an error: no job is held yet, and a deploy may be withdrawn."""
    raise SystemExit(0)
