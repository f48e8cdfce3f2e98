"""Compare the local clock with the database's.

Leases and deadlines use the database's time only, so a difference breaks none of them. But it makes
logs hard to compare with rows, and S3 rejects signatures that are 15 minutes off.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import text

from darkroom.checks.finding import Finding, Level
from darkroom.wiring.factory import Wiring
from storage.db.database import Database

__all__ = ["check_clock"]

ABOUT = "clock"
TOLERATED_S = 5.0


def check_clock(wiring: Wiring) -> Iterator[Finding]:
    """Report the local time and its offset from the database's."""
    here = datetime.now(UTC)
    shown = here.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z (UTC%z)")
    off_s = _ahead_s(wiring.database)
    if abs(off_s) <= TOLERATED_S:
        yield Finding(ABOUT, Level.OK, f"{shown}; the database is {abs(off_s):.1f} s off")
        return
    side = "ahead of" if off_s > 0 else "behind"
    yield Finding(
        ABOUT,
        Level.WARN,
        f"{shown}; the database is {abs(off_s):.0f} s {side} this machine",
        "set both by NTP: S3 refuses signatures of a clock that is 15 minutes off",
    )


def _ahead_s(database: Database) -> float:
    """Return how far the database's clock is ahead; SQLite uses this machine's clock."""
    if database.is_sqlite:
        return 0.0
    with database.read() as connection:
        before = datetime.now(UTC)
        there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
        after = datetime.now(UTC)
    return (there - before).total_seconds() - (after - before).total_seconds() / 2
