"""All threads of a worker allocate from one heap of the C library."""

import inspect
import re
import subprocess
import sys

import pytest

from workers.malloc_arena import share_one_heap

# Eight threads hold some memory at the same time; then glibc says how many heaps there are.
ALLOCATE = """
import ctypes, runpy, sys, threading
print(runpy.run_path(sys.argv[1])["share_one_heap"]())
together = threading.Barrier(8)
def allocate():
    kept = [bytearray(50_000) for _ in range(20)]
    together.wait(30)
threads = [threading.Thread(target=allocate) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
ctypes.CDLL(None).malloc_stats()
"""


def heaps(**environment: str) -> tuple[str, int]:
    """What the switch said, and how many heaps glibc counts in the end."""
    # As a file: to import it by name would load all that a worker is made of first.
    file = inspect.getsourcefile(share_one_heap)
    assert file is not None
    done = subprocess.run(
        [sys.executable, "-c", ALLOCATE, file],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "malloc_stats" in done.stderr:
        pytest.skip("this C library is not glibc")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), len(re.findall(r"^Arena \d+:", done.stderr, re.MULTILINE))


def test_eight_threads_share_one_heap() -> None:
    """Otherwise what one thread has freed is lost to the others."""
    assert heaps() == ("True", 1)


def test_an_operators_own_choice_stays() -> None:
    """`MALLOC_ARENA_MAX` is how everybody else sets it."""
    switched, count = heaps(MALLOC_ARENA_MAX="4")
    assert switched == "False"
    assert 1 < count <= 4
