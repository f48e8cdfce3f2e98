"""What a worker has loaded by the time it starts work is there to stay: the collector passes it by.

Some hundred thousand objects of libraries would otherwise be looked through again and again for
garbage that is not among them; and with tens of thousands of objects made for each second's
pictures, the collector's usual pace of every 700 is far too often.
"""

import gc

__all__ = ["leave_libraries_alone"]

#: New containers between two looks at the youngest; a picture's course makes some thousands.
YOUNG = 20_000


def leave_libraries_alone() -> None:
    """Count everything that lives now as permanent, and look at what is new less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
