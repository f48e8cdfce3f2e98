"""One heap of the C library for all threads of a worker.

glibc gives threads heaps of their own, up to eight per core, and what one has freed no other may
use: with pictures of megabytes passing through hundreds of threads, most of a worker's memory was
such leftovers. Threads that take turns at the interpreter don't miss heaps of their own.
"""

import ctypes
import os

__all__ = ["share_one_heap"]

#: `M_ARENA_MAX` of glibc's malloc.h.
ARENA_MAX = -8


def share_one_heap() -> bool:
    """Have threads started from now on share the main heap; False where that can't be set.

    Whoever has set `MALLOC_ARENA_MAX` has decided already, and a C library without the switch
    (musl, macOS) has no such heaps.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(ARENA_MAX, 1))
