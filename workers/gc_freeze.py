"""Exclude everything loaded at a worker's start from garbage collection.

Otherwise the collector would examine some hundred thousand objects of libraries again and again,
although they stay in use. Each second's pictures create tens of thousands of objects, so the
default of one collection per 700 new objects is far too frequent.
"""

import gc

__all__ = ["freeze_libraries"]

#: New container objects between two collections of the youngest generation; a picture creates some
#: thousands.
YOUNG = 20_000


def freeze_libraries() -> None:
    """Freeze all objects that exist now, and collect new objects less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
