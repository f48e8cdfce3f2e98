"""The limits on database statements: the values set, and the defaults derived from the lease.

A worker must notice in time that the database does not answer. Its next heartbeat uses a new
connection, and must arrive before the lease ends. So the client's deadline is shorter than the
lease minus one heartbeat interval, and the server's limits are shorter still.
"""

from typing import NamedTuple

__all__ = ["StatementLimits", "statement_limits"]

DEADLINE_S = 10.0
DEADLINE_SHARE = 0.9
STATEMENT_SHARE = 0.8
LOCK_SHARE = 0.25


class StatementLimits(NamedTuple):
    """Seconds for a lock and for a statement on the server, and for an answer on the client."""

    lock_s: float
    statement_s: float
    deadline_s: float

    def contradictions(self, *, lease_s: float, heartbeat_s: float) -> list[str]:
        """Return a sentence for each limit that is not shorter than the next larger one."""
        rules = (
            (
                self.lock_s >= self.statement_s,
                (
                    f"DARKROOM_DATABASE_LOCK_TIMEOUT_S ({self.lock_s:g}) must be shorter than "
                    f"DARKROOM_DATABASE_STATEMENT_TIMEOUT_S ({self.statement_s:g})"
                ),
            ),
            (
                self.statement_s >= self.deadline_s,
                (
                    f"DARKROOM_DATABASE_STATEMENT_TIMEOUT_S ({self.statement_s:g}) must be shorter "
                    f"than DARKROOM_DATABASE_DEADLINE_S ({self.deadline_s:g})"
                ),
            ),
            (
                self.deadline_s >= lease_s - heartbeat_s,
                (
                    f"DARKROOM_DATABASE_DEADLINE_S ({self.deadline_s:g}) must be shorter than "
                    "DARKROOM_LEASE_S without one DARKROOM_HEARTBEAT_S "
                    f"({lease_s:g} - {heartbeat_s:g})"
                ),
            ),
        )
        return [sentence for is_broken, sentence in rules if is_broken]


def statement_limits(
    *,
    lock_s: float | None,
    statement_s: float | None,
    deadline_s: float | None,
    lease_s: float,
    heartbeat_s: float,
) -> StatementLimits:
    """Return the limits in force; each that is None is derived from the next larger one."""
    if deadline_s is None:
        deadline_s = min(DEADLINE_S, DEADLINE_SHARE * (lease_s - heartbeat_s))
    if statement_s is None:
        statement_s = STATEMENT_SHARE * deadline_s
    if lock_s is None:
        lock_s = LOCK_SHARE * statement_s
    return StatementLimits(lock_s, statement_s, deadline_s)
