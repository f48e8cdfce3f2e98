"""How processes that share a socket divide the connections between them."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gateway.listener import listen
from gateway.shared_accept import Acceptor, ConnectionCounts

PROCESSES = 3


class One:
    """One process's part, in this one."""

    def __init__(self, listener: socket.socket, counts: ConnectionCounts, place: int) -> None:
        self.taken: list[socket.socket] = []
        self.has_taken = asyncio.Event()
        self.acceptor = Acceptor(
            listener.dup(), counts, place, connect=self._take, open_connections=self._count
        )

    def _count(self) -> int:
        return len(self.taken)

    async def _take(self, connection: socket.socket) -> None:
        self.taken.append(connection)
        self.has_taken.set()

    def close(self) -> None:
        """Close everything."""
        self.acceptor.close()
        for each in self.taken:
            each.close()


@contextmanager
def shared() -> Iterator[tuple[socket.socket, ConnectionCounts]]:
    """A listening socket, and the counts of three processes of which none serves."""
    with listen("127.0.0.1", 0) as listener, ConnectionCounts.file(PROCESSES) as file:
        yield listener, ConnectionCounts(file)


async def taken_by(processes: list[One], listener: socket.socket, count: int) -> list[int]:
    """How many of some connections each process takes."""
    address = listener.getsockname()
    clients = [socket.create_connection(address) for _ in range(count)]
    has_taken = asyncio.Event()
    for each in processes:
        each.has_taken = has_taken
    async with asyncio.timeout(60):
        while sum(len(each.taken) for each in processes) < count:
            await has_taken.wait()
            has_taken.clear()
    for client in clients:
        client.close()
    for process in processes:
        process.close()
    return [len(each.taken) for each in processes]


@pytest.mark.enable_socket
def test_connections_that_are_opened_together_are_spread() -> None:
    """Each process takes its part, or one more or fewer."""

    async def counts_of() -> list[int]:
        with shared() as (listener, counts):
            processes = [One(listener, counts, place) for place in range(PROCESSES)]
            return await taken_by(processes, listener, 48)

    assert max(counts := asyncio.run(counts_of())) <= min(counts) + 2


@pytest.mark.enable_socket
def test_a_process_takes_what_another_leaves() -> None:
    """One with fewer connections that accepts none, because it hangs, holds up no caller."""

    async def counts_of() -> list[int]:
        with shared() as (listener, counts):
            counts.note(1, 0)
            return await taken_by([One(listener, counts, 0)], listener, 20)

    assert asyncio.run(counts_of()) == [20]
