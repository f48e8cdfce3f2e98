"""What a forked process finds loaded when it begins; in a module of its own, to be loaded there."""

import sys
from pathlib import Path

__all__ = ["note_loaded"]


def note_loaded(file: Path) -> None:
    """Write down the modules that are there by now."""
    file.write_text("\n".join(sys.modules))
