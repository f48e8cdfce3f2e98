"""What the operating system charged a process and all below it, and what they have in memory.

CPU is read from the kernel's own account, so a noisy neighbour changes little: it makes a run
longer, not dearer. A child that was waited for is in its parent's account; one that lives is asked.
"""

import os
from pathlib import Path

import psutil

__all__ = ["charged_s", "memory_bytes", "peak_bytes"]

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
#: Places in `/proc/PID/stat` after the name in brackets: utime, stime, cutime, cstime (proc(5)).
TIMES = slice(11, 15)


def charged_s(pid: int) -> float:
    """Seconds of CPU charged to a process, its children, and theirs, dead or alive."""
    return sum(_own_s(one) for one in _family(pid))


def memory_bytes(pid: int) -> int:
    """What a process and all below it have in memory; pages that they share are counted once."""
    return sum(_proportional_bytes(one) for one in _family(pid))


def peak_bytes(pid: int) -> int:
    """The most that one process ever had in memory, by the kernel's own mark; 0 once it is gone."""
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
