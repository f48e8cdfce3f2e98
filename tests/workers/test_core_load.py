"""How busy a core was, from the kernel's account of it."""

import time
from pathlib import Path

import pytest

from workers.core_load import STAT, CoreLoad

# user nice system idle iowait irq softirq steal guest guest_nice
BEFORE = """cpu  9 9 9 9 9 9 9 9 9 9
cpu0 100 0 50 800 50 0 0 0 0 0
cpu12 10 10 10 10 10 10 10 10 0 0
intr 5 6 7
ctxt 8
"""
AFTER = """cpu  9 9 9 9 9 9 9 9 9 9
cpu0 110 0 55 870 65 0 0 0 0 0
cpu12 11 11 11 10 10 11 11 11 5 5
intr 5 6 7
"""


def test_a_core_is_busy_when_it_neither_idles_nor_waits_for_a_disk(tmp_path: Path) -> None:
    """Time that the hypervisor gave to others is not there to be had."""
    stat = tmp_path / "stat"
    stat.write_text(BEFORE)
    load = CoreLoad(stat)
    assert load.since_last() == {}
    stat.write_text(AFTER)
    assert load.since_last() == {0: 0.15, 12: 1.0}


def test_two_looks_in_the_same_instant_say_nothing(tmp_path: Path) -> None:
    """There is no part of no time."""
    stat = tmp_path / "stat"
    stat.write_text(BEFORE)
    load = CoreLoad(stat)
    load.since_last()
    assert load.since_last() == {}


def test_a_kernel_without_the_account_says_nothing(tmp_path: Path) -> None:
    """Nor does one that stops to give it."""
    assert CoreLoad(tmp_path / "stat").since_last() == {}


def test_this_kernel_says_it_of_its_cores() -> None:
    """The real account reads as the prepared one does."""
    if not STAT.exists():
        pytest.skip("this kernel has no such account")
    load = CoreLoad()
    load.since_last()
    busy: dict[int, float] = {}
    deadline = time.monotonic() + 10
    while not busy and time.monotonic() < deadline:  # its clock ticks a hundred times a second
        time.sleep(0.05)
        busy |= load.since_last()
    assert busy
    assert all(0 <= part <= 1 for part in busy.values())
