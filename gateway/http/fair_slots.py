"""Slots for work that takes long, shared between owners.

First come, first served would let one owner's large batches hold all slots while another owner's
small one waits. So one owner may hold all slots but one, and a slot that becomes free goes to the
waiting owner that holds the fewest; among equals, to the one that has waited longest.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

__all__ = ["FairSlots"]


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    owner: str
    granted: asyncio.Future[None]


class FairSlots:
    """A number of slots; used from one event loop.

    Args:
        slots: how many; if more than one, the last is kept for another owner.
    """

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._most_of_one = max(1, slots - 1)
        self._held: Counter[str] = Counter()
        self._waiters: list[_Waiter] = []

    @asynccontextmanager
    async def slot(self, owner: str) -> AsyncIterator[None]:
        """Hold a slot for the block; wait for one if none is free."""
        await self._acquire(owner)
        try:
            yield
        finally:
            self._release(owner)

    async def _acquire(self, owner: str) -> None:
        waiter = _Waiter(owner, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._grant()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.cancelled():
                self._waiters.remove(waiter)
            else:  # granted in the same loop iteration in which the caller was cancelled
                self._release(owner)
            raise

    def _release(self, owner: str) -> None:
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._grant()

    def _grant(self) -> None:
        """Give free slots away for as long as a waiting owner may hold one more."""
        while self._held.total() < self._slots:
            waiting = [
                one
                for one in self._waiters
                if self._held[one.owner] < self._most_of_one and not one.granted.done()
            ]
            if not waiting:
                return
            # `min` returns the first of equals, which has waited longest.
            chosen = min(waiting, key=lambda one: self._held[one.owner])
            self._waiters.remove(chosen)
            self._held[chosen.owner] += 1
            chosen.granted.set_result(None)
