"""Define a psycopg connection on which every wait for the server has a deadline.

The kernel notices a peer that disappeared (keepalives, `tcp_user_timeout`). It does not notice one
that acknowledges every packet and never answers, such as a stopped server or a pooler that hangs.
So each wait has a deadline here, after which the connection is closed. The pending statement may
still be committed.

It relies on `psycopg.Connection.wait` taking a timeout, as it does from 3.3.9 on.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

__all__ = ["BoundedConnection"]

_INTERVAL_S = 0.1
"""The interval between two checks for Ctrl-C; psycopg's own value."""


class BoundedConnection(psycopg.Connection[Any]):
    """Close the connection if a response does not arrive in time.

    Attributes:
        deadline_s: Longest wait for one response; None for no limit.
    """

    deadline_s: float | None = None

    def wait(self, gen: Any, interval: float = _INTERVAL_S, timeout: float | None = None) -> Any:
        """Wait for an operation of the connection to end, until the deadline at most.

        Raises:
            psycopg.OperationalError: The server did not answer in time; the connection is closed.
        """
        limit_s = self.deadline_s if timeout is None else timeout
        try:
            return super().wait(gen, interval, limit_s)
        except psycopg.OperationalError as error:
            # An error that the server reports leaves the connection idle or in a failed
            # transaction. If a statement is still active, its response has not arrived.
            if limit_s is None or self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.pgconn.finish()
            words = f"no answer within {limit_s:g} s: the connection was closed"
            raise psycopg.OperationalError(words) from error
