"""Make all threads of a worker share one heap (arena) of the C library.

glibc gives threads arenas of their own, up to eight per core, and memory freed in one arena cannot
be used by another. With pictures of megabytes passing through hundreds of threads, most of a
worker's memory was such freed memory. Separate arenas bring no gain here, because the interpreter's
lock lets one thread run at a time.
"""

import ctypes
import os

__all__ = ["share_one_heap"]

#: `M_ARENA_MAX` of glibc's malloc.h.
ARENA_MAX = -8


def share_one_heap() -> bool:
    """Make threads started from now on share the main heap; return whether that was set.

    If `MALLOC_ARENA_MAX` is set in the environment, the operator's value stays. A C library without
    the option (musl, macOS) has no such arenas.
    """
    if "MALLOC_ARENA_MAX" in os.environ:
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(ARENA_MAX, 1))
