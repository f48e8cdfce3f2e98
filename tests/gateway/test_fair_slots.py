"""Slots for loading batches are shared between owners."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from gateway.http.fair_slots import FairSlots


class Loads:
    """Loads that go on until the test ends them."""

    def __init__(self, slots: int) -> None:
        self._slots = FairSlots(slots)
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.running: list[str] = []

    def begin(self, name: str) -> None:
        """Ask for a slot; the owner is the name's first letter."""
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._load(name))

    async def _load(self, name: str) -> None:
        async with self._slots.slot(name[0]):
            self.running.append(name)
            try:
                await self._ends[name].wait()
            finally:
                self.running.remove(name)

    async def end(self, name: str) -> None:
        """End one, and let whatever follows from it happen."""
        self._ends[name].set()
        await self.settle()

    async def give_up(self, name: str) -> None:
        """Cancel one, as a client does that hangs up."""
        self._tasks[name].cancel()
        await self.settle()

    @staticmethod
    async def settle() -> None:
        """Let every task go on as far as it can."""
        for _ in range(10):
            await asyncio.sleep(0)


async def two_owners(loads: Loads) -> None:
    """One owner's three batches leave a slot for another owner's."""
    for name in ("a1", "a2", "a3"):
        loads.begin(name)
    await loads.settle()
    assert loads.running == ["a1", "a2"]
    loads.begin("b1")
    await loads.settle()
    assert loads.running == ["a1", "a2", "b1"]
    await loads.end("b1")
    assert loads.running == ["a1", "a2"]


async def fewest_first(loads: Loads) -> None:
    """A slot goes to the owner with the fewest, though others have waited longer."""
    for name in ("a1", "a2", "b1", "a3", "b2", "c1"):
        loads.begin(name)
    await loads.settle()
    assert loads.running == ["a1", "a2", "b1"]
    await loads.end("a1")
    assert loads.running == ["a2", "b1", "c1"]
    await loads.end("c1")
    assert loads.running == ["a2", "b1", "a3"]  # both hold one: the longest wait decides


async def hanging_up(loads: Loads) -> None:
    """Neither a wait that is given up nor a load that is broken off keeps a slot."""
    for name in ("a1", "a2", "a3", "a4"):
        loads.begin(name)
    await loads.settle()
    await loads.give_up("a3")
    await loads.give_up("a1")
    assert loads.running == ["a2", "a4"]


async def granted_and_gone(loads: Loads) -> None:
    """A caller that goes away in the moment of the grant gives the slot back."""
    for name in ("a1", "a2", "a3", "a4"):
        loads.begin(name)
    await loads.settle()
    loads._ends["a1"].set()
    await asyncio.sleep(0)  # a1 releases, a3 is granted, and has not run yet
    loads._tasks["a3"].cancel()
    await loads.settle()
    assert loads.running == ["a2", "a4"]


@pytest.mark.parametrize("story", [two_owners, fewest_first, hanging_up, granted_and_gone])
def test_slots_are_shared_between_owners(
    story: Callable[[Loads], Coroutine[Any, Any, None]],
) -> None:
    """One owner never holds all of several slots, and none is lost."""

    async def tell() -> None:
        loads = Loads(3)
        await story(loads)
        for name in list(loads._tasks):
            await loads.give_up(name)
        assert not loads._slots._held

    asyncio.run(tell())


def test_a_single_slot_is_for_everybody() -> None:
    """With one slot there is none to keep for others."""

    async def tell() -> None:
        loads = Loads(1)
        loads.begin("a1")
        await loads.settle()
        assert loads.running == ["a1"]
        await loads.end("a1")

    asyncio.run(tell())
