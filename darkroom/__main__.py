"""`darkroom …` and `python -m darkroom …`.

Our rooms have plain names, and the folder a command is started from may well have a `tasks/` or a
`storage/` of its own. So that folder is taken off the import path before anything of ours loads.
"""

import gc
import sys
from pathlib import Path

HOME = Path(__file__).resolve().parent.parent

#: New containers between two looks for garbage. Python's own 700 has the collector look through our
#: libraries again and again while they load: a tenth of what a command needs to start.
YOUNG = 100_000


def main() -> None:
    """Run the command line and leave with its exit status."""
    gc.set_threshold(YOUNG)
    sys.path[:] = [place for place in sys.path if place and _is_no_strangers_folder(place)]
    from darkroom.cli import run  # noqa: PLC0415 - only once the path is ours

    sys.exit(run(sys.argv[1:]))


def _is_no_strangers_folder(place: str) -> bool:
    here = Path(place).resolve()
    return here == HOME or here != Path.cwd()


if __name__ == "__main__":
    main()
