"""Play one row over a ground and judge it, whatever happens to its fleet."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from chaos.fleet.fleet import Stuck
from chaos.fleet.servers import Ground
from chaos.result import Result
from chaos.stage import CannotRun, Stage
from storage.errors import StorageError

__all__ = ["run_row"]


class Playable(Protocol):
    """A row of the matrix, as the stage uses it."""

    @property
    def fault(self) -> str:
        """Return the fault's name for the table."""
        ...

    @property
    def on_sqlite(self) -> bool:
        """Return whether the results table is a SQLite file instead of PostgreSQL."""
        ...

    @property
    def play(self) -> Callable[[Stage], None]:
        """Play the row."""
        ...


@contextmanager
def _restored(ground: Ground) -> Iterator[None]:
    """Restart servers that a row has stopped, so that the next row finds them running."""
    try:
        yield
    finally:
        _restore(ground)


def _restore(ground: Ground) -> None:
    for server in (ground.redis, ground.postgres, ground.s3, ground.simulator):
        if server.is_running:
            server.resume()
        else:
            server.start()
    ground.simulator.clear_faults()


def run_row(ground: Ground, row: Playable) -> Result:
    """Play one row and judge it. A failure of the fleet never raises."""
    began = time.monotonic()
    stage = Stage(ground, row.fault, on_sqlite=row.on_sqlite)
    with _restored(ground):
        try:
            row.play(stage)
        except CannotRun as reason:
            stage.result.skipped = str(reason)
        except (Stuck, StorageError) as error:
            stage.must("the row could be played to its end", kept=False, found=error)
            _restore(ground)  # the ledger is read over HTTP
            _count_what_there_is(stage)
        finally:
            stage.close()
    stage.result.took_s = round(time.monotonic() - began, 1)
    return stage.result


def _count_what_there_is(stage: Stage) -> None:
    try:
        stage.count()
    except StorageError as error:
        stage.note(f"nothing could be counted: {error}")
