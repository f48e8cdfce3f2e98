"""Write a file so that it exists complete or not at all.

The bytes go to a temporary file in the same folder, which then takes the name of the target: so
that a full disk, a kill or a power loss leaves the old file or the new one.
"""

import os
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["PRIVATE", "usual_mode", "write_file"]

#: Only this user may read the file: it holds prompts, pictures or keys.
PRIVATE: Final = 0o600

#: Does not contain the target's name, which may be as long as the file system permits.
_TEMPORARY: Final = ".darkroom-"


def write_file(target: Path, data: bytes, *, mode: int = PRIVATE) -> None:
    """Write a file, or replace it.

    Args:
        target: the file; its folder exists.
        data: its whole content.
        mode: its permissions, also if it existed with others.

    Raises:
        OSError: it cannot be written; an older file is unchanged, and nothing else is left.
    """
    descriptor, name = tempfile.mkstemp(dir=target.absolute().parent, prefix=_TEMPORARY)
    part = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def usual_mode() -> int:
    """Return the permissions of a file that a program makes without naming any."""
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
