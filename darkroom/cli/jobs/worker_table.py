"""The table of live workers that `darkroom list --workers` prints."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from darkroom.cli.common.formatting import local_time
from darkroom.cli.common.output import echo
from darkroom.escape import escaped

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.fleet.leases import Worker

__all__ = ["print_workers"]

_WHEN = "%m-%d %H:%M:%S %Z"
_HEADS = ("id", "host", "process", "release", "calls", "last success", "paused")


def print_workers(workers: Iterable["Worker"]) -> None:
    """Print a line for each worker: its id, its last successful call, since when it is paused."""
    rows = [_HEADS, *(_row(worker) for worker in workers)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        echo("  ".join(map(str.ljust, row, widths)).rstrip())


def _row(worker: "Worker") -> tuple[str, ...]:
    why = f" {worker.pause_code}" if worker.pause_code else ""
    return (
        str(worker.id),
        escaped(worker.host),
        str(worker.pid),
        escaped(worker.version),
        str(worker.concurrency),
        local_time(worker.succeeded_at, to=_WHEN),
        escaped(f"{local_time(worker.paused_at, to=_WHEN)}{why}"),
    )
