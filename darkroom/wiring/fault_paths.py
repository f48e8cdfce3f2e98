"""Modules that are needed only when something fails, loaded while nothing has failed yet.

An import opens files. A process that has no file descriptor left could not import what it needs to
wait the shortage out, and would fail in a way that nobody foresaw.
"""

import importlib

__all__ = ["load_fault_paths"]

#: What the standard library and others import inside functions: codecs of host names and of the
#: error texts of foreign servers, and what a traceback is made with.
LATE = (
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_8",
    "linecache",
    "stringprep",
    "tasks.retries",
    "tokenize",
    "traceback",
)


def load_fault_paths() -> None:
    """Import what workers and gateways need while file descriptors are exhausted."""
    for name in LATE:
        importlib.import_module(name)
