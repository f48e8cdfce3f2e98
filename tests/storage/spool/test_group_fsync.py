"""A sync that threads share: never one that began too early, and no more than are needed."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.spool.group_fsync import SharedSync


class Disk:
    """Syncs that end when they are let go on."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.syncs = 0
        self.faults = 0

    def sync(self) -> None:
        """One sync; fails as long as there are faults."""
        self.syncs += 1
        self.begun.release()
        assert self.go_on.acquire(timeout=10)
        if self.faults:
            self.faults -= 1
            raise OSError("the disk failed")


def test_who_comes_during_a_sync_shares_the_next_with_all_others() -> None:
    """The one under way may have begun too early for them."""
    disk, threads = Disk(), 5
    shared = SharedSync(disk.sync)
    with ThreadPoolExecutor(threads + 1) as pool:
        first = pool.submit(shared.sync)
        assert disk.begun.acquire(timeout=10)
        asked = threading.Barrier(threads + 1)

        def ask() -> None:
            asked.wait(10)
            shared.sync()

        later = [pool.submit(ask) for _ in range(threads)]
        asked.wait(10)
        time.sleep(0.1)  # for all of them to ask; who came later would need one more sync
        disk.go_on.release()
        first.result(10)
        assert disk.begun.acquire(timeout=10)
        assert not any(wait.done() for wait in later)
        disk.go_on.release(threads)
        for wait in later:
            wait.result(10)
    assert 2 <= disk.syncs < threads


def test_a_sync_that_failed_counts_for_nobody() -> None:
    """A thread that waited for it makes its own sync, and gets its own failure only."""
    disk = Disk()
    disk.faults = 1
    shared = SharedSync(disk.sync)
    disk.go_on.release(10)
    with pytest.raises(OSError, match="the disk failed"):
        shared.sync()
    shared.sync()
    assert disk.syncs == 2


def test_one_sync_after_another_is_made_each_time() -> None:
    """A sync that is over knows nothing of what came after it."""
    disk = Disk()
    shared = SharedSync(disk.sync)
    disk.go_on.release(10)
    for made in range(1, 4):
        shared.sync()
        assert disk.syncs == made
