"""Faults of the results table: unavailable, locked, or silent at the critical moment."""

import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from threading import Lock

from chaos.fleet.proxy import Act, Line, Proxy
from chaos.stage import Stage

__all__ = ["database_away", "database_locked", "database_restarted", "reply_lost"]

# Each matches the statement for one row and the one for several.
CLAIM = re.compile(rb"claim_token=(?!NULL)")
FINISH = re.compile(rb"ended_at=clock_timestamp\(\) (WHERE|FROM)")
IMAGE_RECEIVED = b"image_in_hand_at=coalesce"


def database_restarted(stage: Stage) -> None:
    """Kill PostgreSQL and start it again at once."""
    _away(stage, 2)


def database_away(stage: Stage) -> None:
    """Stop PostgreSQL for two leases: every worker looks dead when it returns."""
    _away(stage, 40)


def database_locked(stage: Stage) -> None:
    """Hold SQLite's write lock in another transaction for a whole lease."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    stage.load()
    fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    _hold_the_lock(stage, Path(fleet.database_url.removeprefix("sqlite:///")))
    stage.fault_ends()
    stage.recovered()
    _nothing_repeated(stage)


def reply_lost(stage: Stage) -> None:
    """Commit a claim or a finish, and cut the connection before the database can confirm it."""
    postgres = stage.ground.postgres
    limit = max(6, stage.scale.jobs // 20)
    cuts = {"claim": 0, "in hand": 0, "finish": 0}
    guard = Lock()

    def judge(_line: Line, chunk: bytes) -> Act:
        what = _transition(chunk)
        with guard:
            if what is None or cuts[what] >= limit:
                return Act.PASS_ON
            cuts[what] += 1
        return Act.CUT_AT_REPLY

    proxy = Proxy(postgres.port, judge)
    try:
        fleet = stage.make_fleet()
        stage.load()
        through = fleet.database_url.replace(f":{postgres.port}/", f":{proxy.port}/")
        fleet.start(2, database_url=through)
        stage.fault_begins()
        found = stage.finish()
    finally:
        proxy.close()
    stage.note(", ".join(f"{n} replies to {what} lost" for what, n in cuts.items()))
    stage.must("replies were lost at each transition", kept=all(cuts.values()), found=cuts)
    stage.all_succeed(found)
    stage.one_call_each(found)
    again = [job.id for job in found.jobs if job.calls_made != 1]
    stage.must("a claim whose reply was lost is recognised", kept=not again, found=again[:3])


def _away(stage: Stage, matrix_s: float) -> None:
    fleet = stage.make_fleet(**stage.scale.short_lease)
    stage.load()
    fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    stage.ground.postgres.kill()
    stage.sleep(matrix_s)
    stage.ground.postgres.start()
    stage.fault_ends()
    stage.recovered()
    _nothing_repeated(stage)


def _nothing_repeated(stage: Stage) -> None:
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)


def _hold_the_lock(stage: Stage, path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=30, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(stage.scale.shortened(20))
        other.execute("ROLLBACK")


def _transition(chunk: bytes) -> str | None:
    if CLAIM.search(chunk):
        return "claim"
    if IMAGE_RECEIVED in chunk:
        return "finish" if FINISH.search(chunk) else "in hand"
    return None
