"""Measure how busy this machine's cores, and this process, were between two readings."""

import time
from collections.abc import Mapping
from pathlib import Path

__all__ = ["CoreLoad", "OwnLoad"]

STAT = Path("/proc/stat")

# proc_stat(5): after the name come user, nice, system, idle, iowait, irq, softirq and steal time.
# The fields after these are guest times, which user time already includes.
_IDLE, _IOWAIT, _TIMES = 3, 4, 8


class CoreLoad:
    """Read the kernel's CPU times, and keep the last reading to compute the difference.

    Args:
        stat: the file with the CPU times.
    """

    def __init__(self, stat: Path = STAT) -> None:
        self._stat = stat
        self._before: dict[int, tuple[int, int]] = {}

    def since_last(self) -> Mapping[int, float]:
        """Return how busy each core was since the last reading, 0 to 1, by the core's number.

        Returns:
            An empty mapping at the first reading, or if the kernel has no such file.
        """
        before, self._before = self._before, self._read()
        return {
            # The iowait time may decrease, according to proc(5).
            core: min(1.0, max(0.0, (busy - before[core][0]) / (total - before[core][1])))
            for core, (busy, total) in self._before.items()
            if core in before and total > before[core][1]
        }

    def _read(self) -> dict[int, tuple[int, int]]:
        try:
            lines = self._stat.read_text(encoding="ascii").splitlines()
        except OSError:
            return {}
        words = (line.split() for line in lines)
        return {
            int(name[3:]): _busy_and_total([int(time) for time in times[:_TIMES]])
            for name, *times in words
            if name.startswith("cpu") and name[3:].isdecimal()
        }


class OwnLoad:
    """Measure what part of a core this process has used."""

    def __init__(self) -> None:
        self._before = time.monotonic(), time.process_time()

    def since_last(self) -> float:
        """Return CPU seconds per second since the last reading; above 1 if several cores worked."""
        before, self._before = self._before, (time.monotonic(), time.process_time())
        passed, used = (now - then for now, then in zip(self._before, before, strict=True))
        return used / max(0.001, passed)


def _busy_and_total(times: list[int]) -> tuple[int, int]:
    total = sum(times)
    return total - times[_IDLE] - times[_IOWAIT], total
