"""What every test gets: no `DARKROOM_*` variables, no sockets unless it asks for a real service."""

import gc
import os
import signal
import sys

import pytest
from hypothesis import settings

pytest_plugins = ["tests.services"]

# Where a shell forbids bytecode (container images do), every tester would rewrite each assertion
# anew, which doubles what collecting costs, and every process that a test starts would compile us.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A tester holds a million objects, and makes some thousand with each request. At the usual pace of
# 700 its collector took a tenth of its time.
gc.set_threshold(20_000)

# For a long look: --hypothesis-profile=deep
settings.register_profile("deep", max_examples=1000)

# Started in the background by a shell script, we would ignore Ctrl-C, and so would every command
# that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("DARKROOM_", "AWS_")):
            monkeypatch.delenv(name)
