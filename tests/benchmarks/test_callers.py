"""Callers that wait at once each note when the bytes that they wait for have arrived."""

import socket
import threading
from collections.abc import Iterator

import pytest

from benchmarks.servers.callers import Callers

CALLERS = 20


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port on loopback."""
    with socket.create_server(("127.0.0.1", 0), backlog=CALLERS) as made:
        yield made


@pytest.fixture
def callers() -> Iterator[Callers]:
    """Callers that are closed at the end."""
    made = Callers()
    yield made
    made.close()


def test_each_caller_has_its_answer_when_its_bytes_are_complete(
    listener: socket.socket, callers: Callers
) -> None:
    """In pieces, and after others that are not awaited; one that is refused has none."""
    port = listener.getsockname()[1]
    waiting = callers.call(port, [b"request %d\n" % n for n in range(CALLERS)], b"awaited")
    ends = [listener.accept()[0] for _ in waiting]
    assert sorted(end.recv(100) for end in ends) == sorted(
        b"request %d\n" % n for n in range(CALLERS)
    )

    def answer() -> None:
        ends[0].close()
        for end in ends[1:]:
            end.sendall(b"first await")
        for end in ends[1:]:
            end.sendall(b"ed")
            end.close()

    threading.Thread(target=answer).start()
    while not all(caller.is_over for caller in waiting):
        callers.listen(0.05)
    answered = [caller for caller in waiting if caller.answered_at]
    assert len(answered) == CALLERS - 1
    assert {caller.received for caller in answered} == {b"first awaited"}
