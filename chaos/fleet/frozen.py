"""Loaded last by the server that processes are forked from: what is there by now stays.

The garbage collector of a forked process would otherwise look through all that the server has
loaded, and by doing so make a copy of every page of it.
"""

import gc

__all__: list[str] = []

gc.collect()
gc.freeze()
