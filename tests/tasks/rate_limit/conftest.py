"""Calling processes, ended with the test that started them."""

from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess

import pytest

from tasks.rate_limit.worker_share import Place
from tests.tasks.rate_limit.caller import Fleet, start

StartCallers = Callable[..., list[BaseProcess]]


@pytest.fixture
def callers() -> Iterator[StartCallers]:
    """Starts `count` processes of a fleet, which know that they are `live` in all."""
    running: list[BaseProcess] = []

    def start_some(fleet: Fleet, count: int, *, live: int | None = None) -> list[BaseProcess]:
        new = [start(fleet, Place(rank, live or count)) for rank in range(count)]
        running.extend(new)
        return new

    yield start_some
    for process in running:
        process.kill()
    for process in running:
        process.join()
