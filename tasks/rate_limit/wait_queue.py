"""Threads of one process that wait to call, and the starts they have been granted.

Plain state under its owner's lock; no clock, no thread and no network of its own.
"""

import threading
from collections import deque

from tasks.rate_limit.protocol import Ask, Grant

__all__ = ["Ticket", "WaitQueue"]

#: A start later than this (the process was stopped, the machine asleep) is void: several at once
#: would be a burst nobody granted.
LATE_S = 2.0


class Ticket:
    """One waiting thread."""

    __slots__ = ("called", "is_admitted")

    def __init__(self) -> None:
        self.called = threading.Event()
        self.is_admitted = False

    def call(self, *, admitted: bool) -> None:
        """Wake the thread with its answer."""
        self.is_admitted = admitted
        self.called.set()


class WaitQueue:
    """First come, first served.

    Attributes:
        in_use: slots of calls under way.
        returned: tokens to be given back at the next exchange.
    """

    def __init__(self) -> None:
        self.in_use = 0
        self.returned = 0
        self._tickets: deque[Ticket] = deque()
        self._starts_s: deque[float] = deque()

    @property
    def wanted(self) -> int:
        """Starts that threads wait for and nobody has granted yet."""
        return max(0, len(self._tickets) - len(self._starts_s))

    @property
    def is_empty(self) -> bool:
        """Whether no thread waits."""
        return not self._tickets

    @property
    def next_start_s(self) -> float | None:
        """When the next thread may go; None while nothing is granted."""
        return self._starts_s[0] if self._starts_s and self._tickets else None

    def join(self) -> Ticket:
        """Another thread waits."""
        ticket = Ticket()
        self._tickets.append(ticket)
        return ticket

    def add(self, grant: Grant, now_s: float) -> None:
        """Starts that were granted just now."""
        first_s = now_s + grant.first_in_s
        self._starts_s.extend(first_s + i * grant.apart_s for i in range(grant.count))

    def leave(self, now_s: float, *, spent: bool) -> None:
        """A call, or a claim that led to none, has ended; its token goes to the next in line."""
        self.in_use -= 1
        if spent:
            return
        if self.wanted:
            self._starts_s.appendleft(now_s)
        else:
            self.returned += 1

    def let_in(self, now_s: float) -> None:
        """Wake every thread whose start has come."""
        while self._starts_s and self._starts_s[0] < now_s - LATE_S:
            self._starts_s.popleft()
        while self._tickets and self._starts_s and self._starts_s[0] <= now_s:
            self._starts_s.popleft()
            self.in_use += 1
            self._tickets.popleft().call(admitted=True)

    def turn_away(self) -> None:
        """Wake every thread with a no, and return what it had been granted."""
        while self._tickets:
            self._tickets.popleft().call(admitted=False)

    def ask(self) -> Ask:
        """The state to tell; starts nobody waits for any more are on their way back."""
        while len(self._starts_s) > len(self._tickets):
            self._starts_s.pop()
            self.returned += 1
        returned, self.returned = self.returned, 0
        return Ask(self.in_use + len(self._starts_s), self.wanted, returned)
