"""A worker's garbage collector passes by what was loaded before the work began."""

import subprocess
import sys

LOOK = """
import gc, json
import darkroom.wiring.worker
from workers.gc_freeze import freeze_libraries
before = len(gc.get_objects())
freeze_libraries()
print(before > 50_000, gc.get_freeze_count() > 50_000, len(gc.get_objects()) < 1000)
"""


def test_what_is_loaded_is_not_looked_through_again() -> None:
    """Tens of thousands of objects are permanent then, and hardly one is left to look at."""
    said = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=60, check=True
    )
    assert said.stdout.split() == ["True", "True", "True"]
