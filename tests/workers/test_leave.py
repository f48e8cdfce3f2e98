"""What signals do to a worker: a real process, real signals."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPO = Path(__file__).parents[2]

#: Installs the handlers, then says at each line of its input whether Celery was asked to stop.
PROGRAM = """
import sys
from celery.worker import state
from workers.signals import leave_on_signals
leave_on_signals()
print("ready", flush=True)
for _ in sys.stdin:
    print(state.should_stop, flush=True)
"""

Worker = subprocess.Popen[str]


@contextmanager
def _worker() -> Iterator[Worker]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=REPO, stdin=pipe, stdout=pipe, text=True
    ) as process:
        try:
            assert _line(process) == "ready"
            yield process
        finally:
            process.kill()


def _line(process: Worker) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _is_stopping(process: Worker) -> bool:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    # The flag is `None` until then, and the exit status 0 afterwards: `is not None` decides.
    return _line(process) == "0"


@pytest.mark.parametrize("first", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_lets_calls_end_and_the_second_leaves_at_once(
    first: signal.Signals, second: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM count alike, in either order."""
    with _worker() as process:
        assert not _is_stopping(process)
        process.send_signal(first)
        assert _is_stopping(process)
        process.send_signal(second)
        assert process.wait(60) == 128 + second


def test_sigquit_leaves_at_once() -> None:
    """No first signal is needed."""
    with _worker() as process:
        process.send_signal(signal.SIGQUIT)
        assert process.wait(60) == 128 + signal.SIGQUIT
