"""Run the command line: `darkroom …` and `python -m darkroom …`.

Darkroom's packages have common names, and the current folder may contain a `tasks/` or a `storage/`
of its own. So the current folder is removed from the import path before any Darkroom package loads.
"""

import gc
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent

#: Allocations between two runs of the garbage collector. With Python's default of 700 the collector
#: scans the libraries repeatedly while they load, which takes a tenth of a command's start-up time.
YOUNG = 100_000


def main() -> None:
    """Run the command line and exit with its status."""
    gc.set_threshold(YOUNG)
    sys.path[:] = [place for place in sys.path if place and _is_no_strangers_folder(place)]
    from darkroom.cli import run  # noqa: PLC0415 - only after the path is cleaned

    sys.exit(run(sys.argv[1:]))


def _is_no_strangers_folder(place: str) -> bool:
    here = Path(place).resolve()
    return here == HOME or here != Path.cwd()


if __name__ == "__main__":
    main()
