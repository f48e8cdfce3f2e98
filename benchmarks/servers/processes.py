"""Read the CPU that the system charged a process and its descendants, and their memory.

CPU is read from the kernel's own account, so other load makes a run longer but changes its CPU
little. A reaped child is in its parent's account; a living one is read itself.
"""

import os
from pathlib import Path

import psutil

__all__ = ["charged_s", "memory_bytes", "peak_bytes"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: Places in `/proc/PID/stat` after the name in brackets: utime, stime, cutime, cstime (proc(5)).
TIMES = slice(11, 15)


def charged_s(pid: int) -> float:
    """Return the seconds of CPU charged to a process and its descendants, dead or alive."""
    return sum(_own_s(one) for one in _family(pid))


def memory_bytes(pid: int) -> int:
    """Return the memory of a process and its descendants; shared pages are counted once."""
    return sum(_proportional_bytes(one) for one in _family(pid))


def peak_bytes(pid: int) -> int:
    """Return the peak memory of one process, as the kernel recorded it; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    lines = (line.split() for line in status.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] == "VmHWM:")


def _family(pid: int) -> list[int]:
    try:
        children = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [pid, *(child.pid for child in children)]


def _own_s(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    times = stat.rpartition(")")[2].split()[TIMES]
    return sum(int(ticks) for ticks in times) * TICK_S


def _proportional_bytes(pid: int) -> int:
    try:
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("utf-8")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
    lines = (line.split() for line in rollup.splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0] == "Pss:")
