"""PostgreSQL fails over to an asynchronous standby that has not received the last commits."""

from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from chaos.fleet.proxy import Proxy
from chaos.stage import Stage
from storage.db.database import Database
from tests.services.postgres import PostgresServer, running, standby_of

__all__ = ["failed_over"]

#: Seconds of commits that the standby never receives, and the longest wait for an image.
LOST_S = 20.0
GRACE_S = 300.0
MARGIN_S = 60.0


@dataclass(frozen=True, slots=True)
class _Commits:
    """One server's table: the state, fence and calls of each job."""

    rows: dict[UUID, tuple[str, int, int]]

    def lost_by(self, other: "_Commits") -> set[UUID]:
        """Return the jobs of which another server's table lacks a commit."""
        return {job_id for job_id, row in self.rows.items() if other.rows.get(job_id) != row}


def failed_over(stage: Stage) -> None:
    """Kill the primary when the standby lacks some of its acknowledged commits."""
    installation = stage.ground.installation
    if installation is None:
        stage.skip("there is nothing to start a second PostgreSQL from")
    with ExitStack() as stack:
        primary = stack.enter_context(running(installation))
        url = primary.new_migrated_database()
        replication, front = Proxy(primary.port), Proxy(primary.port)
        for proxy in (replication, front):
            stack.callback(proxy.close)
        standby = stack.enter_context(standby_of(installation, primary, replication.port))
        through = url.replace(f":{primary.port}/", f":{front.port}/")
        fleet = stage.make_fleet(database_url=through, **stage.scale.short_lease)
        stack.callback(fleet.database.close)
        stage.load()
        fleet.start(2)
        stage.wait_for_load()
        stage.fault_begins()
        replication.close()
        replicated = set(stage.accepted)
        stage.load(stage.scale.concurrency)
        stage.sleep_under_load(LOST_S)
        primary.kill()
        standby.promote()
        after = _commits(url, primary, standby)
        front.lead_to(standby.port)
        stage.fault_ends()
        primary.start()  # without the fleet, only to read what it had committed
        _note_what_was_lost(stage, _commits(url, primary, primary), after, replicated)
        stage.recovered()
        within_s = stage.scale.shortened(GRACE_S + MARGIN_S) + MARGIN_S
        stage.wait_until(
            lambda: fleet.ended >= len(stage.accepted) and not _held(fleet.counts()),
            "the end of every row that was running or storing",
            within_s,
        )
        found = stage.finish()
        stage.all_succeed(found)
        stage.note(f"{found.rolled_back_calls} calls uncounted")
        # A call unrelated to the failover may be unknown, too: report whose leases ended.
        rescued = fleet.said("jobs of dead workers were rescued")
        stage.note(f"leases {'ended' if rescued else 'were kept'}; {found.unknown} calls unknown")
        stage.must(
            "uncounted calls are at most those claimed or answered in the lost interval",
            kept=found.rolled_back_calls <= len(stage.rolled_back),
            found=f"{found.rolled_back_calls} of {len(stage.rolled_back)}",
        )


def _held(counts: Counter[str]) -> int:
    return counts["running"] + counts["storing"]


def _note_what_was_lost(
    stage: Stage, before: _Commits, after: _Commits, replicated: set[UUID]
) -> None:
    """Report what was lost: jobs whose acceptance was lost, and calls or ends of others."""
    stage.rolled_back = before.lost_by(after)
    lost = before.rows.keys() - after.rows.keys()
    stage.accepted = [job_id for job_id in stage.accepted if job_id not in lost]
    stage.note(f"{len(lost)} jobs and {len(stage.rolled_back) - len(lost)} changes of others lost")
    stage.must("commits were lost", kept=bool(stage.rolled_back - lost), found=len(lost))
    early = lost & replicated
    stage.must("only jobs whose commit was lost are gone", kept=not early, found=len(early))


def _commits(url: str, made_for: PostgresServer, server: PostgresServer) -> _Commits:
    database = Database(url.replace(f":{made_for.port}/", f":{server.port}/"))
    try:
        jobs = database.tables.jobs
        facts = select(jobs.c.id, jobs.c.status, jobs.c.fence, jobs.c.calls_made)
        with database.read() as connection:
            rows = connection.execute(facts).all()
    finally:
        database.close()
    return _Commits({row.id: (row.status, row.fence, row.calls_made) for row in rows})
