"""What every test gets: no `DARKROOM_*` variables, no sockets unless it asks for a real service."""

import gc
import os
import signal
import sys
from collections.abc import Collection, Generator
from itertools import islice

import pytest
from hypothesis import settings

pytest_plugins = ["tests.services"]

# Where a shell forbids bytecode (container images do), every tester would rewrite each assertion
# anew, which doubles what collecting costs, and every process that a test starts would compile us.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A tester holds a million objects, and makes some thousand with each request. At the usual pace of
# 700 its collector took a tenth of its time.
gc.set_threshold(100_000)

# For a long look: --hypothesis-profile=deep
settings.register_profile("deep", max_examples=1000)

# Started in the background by a shell script, we would ignore Ctrl-C, and so would every command
# that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Spare the collector what stays to the end: each full collection takes a quarter second of it.

    While tests are collected there is next to no garbage, so the collector is off. Later, failed
    requests to a bucket have a full collection made, each second (`objects/botocore_garbage.py`).
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own settings must not reach a test."""
    for name in list(os.environ):
        if name.startswith(("DARKROOM_", "AWS_")):
            monkeypatch.delenv(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: the fault matrix with two testers, whole fleets with a third.

    They wait more than they compute, some for half a minute. Begun last they would leave the
    machine idle; all testers busy with nothing else would, too. Whatever asks for RabbitMQ is with
    one tester, as each that starts one computes for four seconds.
    """
    testers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if testers < 2:
        return
    rabbitmq = [item for item in items if _asks_for_rabbitmq(item)]
    rows = _of(items, "tests/chaos/", but=rabbitmq)
    fleets = _of(items, "tests/acceptance/", "tests/darkroom/demo/", but=rabbitmq)
    if testers == 2:
        begun_with = [rows, [*rabbitmq, *fleets]]
    elif testers == 3:
        begun_with = [rows[::2], rows[1::2], [*rabbitmq, *fleets]]
    else:
        begun_with = [rows[::2], rows[1::2], fleets, rabbitmq]
    long = {*rabbitmq, *rows, *fleets}
    others = iter([item for item in items if item not in long])
    share = len(items) // testers  # what each is given to begin with, in this order
    ordered: list[pytest.Item] = []
    for first in begun_with:
        ordered += [*first, *islice(others, max(0, share - len(first)))]
    items[:] = [*ordered, *others]


def _of(items: list[pytest.Item], *folders: str, but: Collection[pytest.Item]) -> list[pytest.Item]:
    return [item for item in items if item.nodeid.startswith(folders) and item not in but]


def _asks_for_rabbitmq(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return "rabbitmq" in item.nodeid or any("rabbitmq" in name for name in fixtures)
