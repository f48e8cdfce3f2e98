"""Define how long a database statement may wait and run, on the server and on the client.

There are three limits, each shorter than the next. The server ends a wait for a lock, then a
statement; the client closes a connection whose server does not respond. Statements that take long
for a good reason have limits of their own here: migrations, indexes, COPY, bulk deletions,
comparisons with the bucket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["BULK_DELETE", "COPY", "COUNT", "INDEX_BUILD", "MIGRATION", "VERIFY", "Limits"]


@dataclass(frozen=True, slots=True)
class Limits:
    """Limit the statements of a connection; all values are in seconds.

    Attributes:
        lock_s: The server ends a statement that waits for a lock for this long; 0 for no limit.
        statement_s: The server ends a statement that runs for this long; 0 for no limit.
        deadline_s: The client closes the connection if one response takes longer than this.
        asleep_s: The server ends a transaction whose client sends nothing for this long; 0 for no
            limit. A process stopped within a transaction must not keep rows locked.
    """

    lock_s: float = 2.0
    statement_s: float = 8.0
    deadline_s: float = 10.0
    asleep_s: float = 10.0

    def within(self, deadline_s: float) -> Limits:
        """Return these limits, shortened so that the client waits no longer than `deadline_s`."""
        if deadline_s >= self.deadline_s:
            return self
        share = deadline_s / self.deadline_s
        return Limits(
            lock_s=self.lock_s * share,
            statement_s=self.statement_s * share,
            deadline_s=deadline_s,
            asleep_s=self.asleep_s,
        )

    @property
    def on_server(self) -> dict[str, int]:
        """Return the server's settings for these limits, in milliseconds."""
        return {
            "lock_timeout": _milliseconds(self.lock_s),
            "statement_timeout": _milliseconds(self.statement_s),
            "idle_in_transaction_session_timeout": _milliseconds(self.asleep_s),
        }


def _milliseconds(seconds: float) -> int:
    """Return whole milliseconds, at least 1 unless the limit is 0, which means no limit."""
    return max(1, round(seconds * 1000)) if seconds else 0


MIGRATION: Final = Limits(lock_s=600, statement_s=3600, deadline_s=3700, asleep_s=600)
"""For the transaction of a migration; it waits for another process's migration first."""

INDEX_BUILD: Final = Limits(lock_s=21_000, statement_s=21_600, deadline_s=21_700, asleep_s=0)
"""For CREATE INDEX CONCURRENTLY, which waits for every transaction older than itself."""

COPY: Final = Limits(lock_s=10, statement_s=120, deadline_s=150, asleep_s=60)
"""For a chunk of new rows; the server counts the time in which the client makes the rows."""

COUNT: Final = Limits(lock_s=2, statement_s=120, deadline_s=150)
"""For counting what a filter selects, which on a large table reads as many rows as it counts."""

BULK_DELETE: Final = Limits(lock_s=10, statement_s=60, deadline_s=75, asleep_s=30)
"""For a chunk of deleted rows, with all references to them."""

VERIFY: Final = Limits(lock_s=30, statement_s=120, deadline_s=150, asleep_s=30)
"""For pages of rows that are compared with the bucket; few of them may be in memory."""
