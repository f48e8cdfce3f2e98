"""Import modules that are needed only after a failure, while nothing has failed yet.

An import opens files. A process without a free file descriptor could not import the code it needs
to wait the shortage out. It would fail with an unforeseen error.
"""

import importlib

__all__ = ["load_fault_paths"]

#: What the standard library and others import inside functions: codecs of host names and of the
#: error texts of foreign servers, and the modules that format a traceback.
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
