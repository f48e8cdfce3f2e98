"""Queue the threads of one process that wait to call, and the starts they were granted.

The queue is plain state, protected by its owner's lock. It has no clock, thread or network access.
"""

import threading
from collections import deque

from tasks.rate_limit.protocol import Demand, Grant

__all__ = ["WaitQueue"]

#: Seconds after which a granted start is void, for example after the process was suspended or the
#: machine slept. Several late starts at once would be a burst that was not granted.
LATE_S = 2.0


class Ticket:
    """Represent one waiting thread."""

    __slots__ = ("called", "is_admitted")

    def __init__(self) -> None:
        self.called = threading.Event()
        self.is_admitted = False

    def call(self, *, admitted: bool) -> None:
        """Wake the thread with the result."""
        self.is_admitted = admitted
        self.called.set()


class WaitQueue:
    """Admit waiting threads in the order in which they came.

    Attributes:
        in_use: slots of calls in flight.
        returned: start tokens to return at the next exchange.
    """

    def __init__(self) -> None:
        self.in_use = 0
        self.returned = 0
        self._tickets: deque[Ticket] = deque()
        self._starts_s: deque[float] = deque()

    @property
    def needed(self) -> int:
        """Return the number of starts that threads wait for and that are not granted yet."""
        return max(0, len(self._tickets) - len(self._starts_s))

    @property
    def is_empty(self) -> bool:
        """Return whether no thread waits."""
        return not self._tickets

    @property
    def next_start_s(self) -> float | None:
        """Return when the next thread may start; None if no thread waits or no start is granted."""
        return self._starts_s[0] if self._starts_s and self._tickets else None

    def join(self) -> Ticket:
        """Add a waiting thread and return its ticket."""
        ticket = Ticket()
        self._tickets.append(ticket)
        return ticket

    def add(self, grant: Grant, now_s: float) -> None:
        """Add starts that were granted just now."""
        first_s = now_s + grant.first_in_s
        self._starts_s.extend(first_s + i * grant.apart_s for i in range(grant.count))

    def leave(self, now_s: float, *, spent: bool) -> None:
        """End a call, or a claim without a call; an unused token goes to the next thread."""
        self.in_use -= 1
        if spent:
            return
        if self.needed:
            self._starts_s.appendleft(now_s)
        else:
            self.returned += 1

    def admit_due(self, now_s: float) -> None:
        """Wake every thread whose start is due."""
        while self._starts_s and self._starts_s[0] < now_s - LATE_S:
            self._starts_s.popleft()
        while self._tickets and self._starts_s and self._starts_s[0] <= now_s:
            self._starts_s.popleft()
            self.in_use += 1
            self._tickets.popleft().call(admitted=True)

    def refuse_all(self) -> None:
        """Wake every thread with a refusal; `demand` then returns the starts granted to them."""
        while self._tickets:
            self._tickets.popleft().call(admitted=False)

    def demand(self) -> Demand:
        """Return the state to report; starts for which no thread waits any more are returned."""
        while len(self._starts_s) > len(self._tickets):
            self._starts_s.pop()
            self.returned += 1
        returned, self.returned = self.returned, 0
        return Demand(self.in_use + len(self._starts_s), self.needed, returned)
