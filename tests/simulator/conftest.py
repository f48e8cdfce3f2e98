"""The simulators that tests here talk to."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.simulator.running import RunningSimulator, StartSimulator


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSimulator]:
    """The one process that most tests share; it answers at once."""
    folder = tmp_path_factory.mktemp("simulator")
    running = RunningSimulator("--latency-scale", "0", folder=folder)
    yield running
    running.stop()


@pytest.fixture
def server(shared_server: RunningSimulator) -> RunningSimulator:
    """The shared simulator with an empty ledger and no faults."""
    shared_server.control("DELETE", "/ledger")
    shared_server.control("DELETE", "/faults")
    shared_server.control("PUT", "/latency", {"scale": 0})
    return shared_server


@pytest.fixture
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartSimulator]:
    """Starts simulators with flags of the test's own, and stops what it left running."""
    with ExitStack() as stack:

        def begin(*flags: str, from_nothing: bool = False) -> RunningSimulator:
            folder = tmp_path_factory.mktemp("simulator")
            running = RunningSimulator(*flags, folder=folder, from_nothing=from_nothing)
            stack.callback(_end, running)
            return running

        yield begin


def _end(running: RunningSimulator) -> None:
    if running.process.poll() is None:
        running.stop(signal.SIGKILL)
