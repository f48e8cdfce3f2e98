"""Exempt all existing objects from garbage collection; the fork server imports this module last.

Otherwise the garbage collector of a forked process would scan all that the server has loaded. That
would copy every page of it.
"""

import gc

__all__: list[str] = []

gc.collect()
gc.freeze()
