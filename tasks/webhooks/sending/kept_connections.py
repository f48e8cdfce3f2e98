"""Keep connections to receivers open for further webhooks, for a short time.

A connection leads to the IP address that was checked for its receiver's name, and its certificate
was verified for that name. A later change of the DNS cannot redirect it. So a request on it is as
safe as the one it was opened for. The check still expires: after `CHECKED_S` the connection is
closed, and the next attempt resolves and checks the name again.
"""

import select
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tasks.webhooks.addresses.receiver import Receiver
from tasks.webhooks.sending.timed_socket import TimedSocket, TimedTLSSocket

__all__ = ["CHECKED_S", "IDLE_S", "Connection", "KeptConnections"]

#: Seconds after which an unused connection is closed. Common servers close theirs after 5 to 75.
IDLE_S: Final = 10.0
#: Seconds for which the check of a connection's address counts.
CHECKED_S: Final = 30.0
#: Limit of unused connections to one receiver: a server may need a process for each. Up to half of
#: a worker's threads use one at a time, so with fewer, a busy receiver gets many new connections …
MOST_TO_ONE: Final = 8
#: … and to all receivers.
MOST_IN_ALL: Final = 64


@dataclass(slots=True, eq=False)
class Connection:
    """An open connection, used by one attempt at a time.

    Attributes:
        socket: TCP or TLS.
        receiver: scheme, host and port it was opened for.
        checked_at: the time of the check of its address, on the clock of its `KeptConnections`.
        idle_since: the end of its last exchange.
    """

    socket: TimedSocket | TimedTLSSocket
    receiver: Receiver
    checked_at: float
    idle_since: float = 0.0

    def close(self) -> None:
        """Close it; nothing that still arrives is read."""
        self.socket.close()

    def is_quiet(self) -> bool:
        """Return whether nothing arrived; the other side's close arrives, too."""
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)


class KeptConnections:
    """Holds unused connections, by scheme, host name and port. Thread-safe.

    Args:
        clock: returns monotonic seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock: Final = clock
        self._lock = threading.Lock()
        self._idle: list[Connection] = []  # the longest unused first
        weakref.finalize(self, _close, self._idle)

    def take(self, receiver: Receiver) -> Connection | None:
        """Return a connection that may be used at once; None if there is none."""
        self.close_old()
        while (found := self._taken(receiver)) is not None:
            if found.is_quiet():
                return found
            found.close()  # closed by the receiver, or it sent something without a request
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection after a whole exchange; if there are too many, close the oldest."""
        connection.idle_since = self.clock()
        with self._lock:
            self._idle.append(connection)
            to_one = [one for one in self._idle if _is_same(one.receiver, connection.receiver)]
            surplus = to_one[:-MOST_TO_ONE] or self._idle[:-MOST_IN_ALL]
            self._forget(surplus)
        _close(surplus)

    def close_old(self) -> None:
        """Close connections that were unused for too long, or whose check has expired."""
        with self._lock:
            now = self.clock()
            old = [
                one
                for one in self._idle
                if now - one.idle_since > IDLE_S or now - one.checked_at > CHECKED_S
            ]
            self._forget(old)
        _close(old)

    def _taken(self, receiver: Receiver) -> Connection | None:
        with self._lock:
            for one in reversed(self._idle):
                if _is_same(one.receiver, receiver):
                    self._forget([one])
                    return one
        return None

    def _forget(self, connections: list[Connection]) -> None:
        for each in connections:
            self._idle.remove(each)


def _is_same(one: Receiver, other: Receiver) -> bool:
    return (one.name, one.port, one.scheme) == (other.name, other.port, other.scheme)


def _close(connections: list[Connection]) -> None:
    for each in connections:
        each.close()
