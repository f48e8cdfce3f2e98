"""The data folder of a local stack: created, tested for writing, and locked by one stack.

The services manage its contents. This file keeps a few facts for them, completely or not at all.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from darkroom.atomic_file import write_file
from darkroom.errors import UserError
from darkroom.stack.data.private import FOLDER_MODE, narrow_files, private_file, private_folder

_PROBE_BYTES = 1 << 20
"""Written and removed at start, so that a full disk shows here and not during the first image."""

_LOG_BYTES_MAX = 10_000_000


class DataFolder:
    """A data folder that this process locks until `close()`.

    Args:
        path: The folder; created if missing, with the folders above it. Its new contents are for
            this user alone. An existing folder keeps its own mode, as it may hold other files.

    Raises:
        UserError: It can't be created or written, its disk is full, or another stack has locked it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        if "?" in str(self.path):  # would begin the options of the SQLite URL
            raise UserError(f"{self.path}: a data folder's path can't have a '?' in it")
        try:
            self.path.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            private_folder(self.path / "logs", below=self.path)
            self._lock = self._take_lock()
        except OSError as error:
            raise _unusable(self.path, error) from error
        try:
            self._try_writing()
        except OSError as error:
            self.close()
            raise _unusable(self.path, error) from error

    def subfolder(self, name: str) -> Path:
        """Return a folder inside, created if missing.

        Raises:
            UserError: It can't be created.
        """
        folder = self.path / name
        try:
            private_folder(folder, below=self.path)
        except OSError as error:
            raise _unusable(folder, error) from error
        return folder

    def file(self, name: str) -> Path:
        """Return a file inside, created if missing.

        Raises:
            UserError: It can't be created.
        """
        path = self.path / name
        try:
            private_file(path)
            narrow_files(path)
        except OSError as error:
            raise _unusable(path, error) from error
        return path

    def log_file(self, name: str) -> Path:
        """Return a child's log; a large one of earlier runs is renamed to `.1` first.

        Raises:
            UserError: It can't be created.
        """
        path = self.path / "logs" / f"{name}.log"
        if path.exists() and path.stat().st_size > _LOG_BYTES_MAX:
            path.replace(path.with_suffix(".log.1"))
        return self.file(f"logs/{name}.log")

    def remembered(self, name: str) -> dict[str, object]:
        """Read what `remember()` wrote under this name; empty if nothing is readable."""
        try:
            saved = json.loads((self.path / name).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return saved if isinstance(saved, dict) else {}

    def remember(self, name: str, facts: Mapping[str, object]) -> None:
        """Write a few facts to a file that only this user may read: all of them, or none.

        Raises:
            UserError: It can't be written.
        """
        target = self.path / name
        try:
            write_file(target, json.dumps(facts, indent=2).encode() + b"\n")
        except OSError as error:
            raise _unusable(target, error) from error

    def close(self) -> None:
        """Release the lock on the folder."""
        os.close(self._lock)

    def _take_lock(self) -> int:
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, str(os.getpid()).encode())
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode(errors="replace").strip() or "?"
            os.close(descriptor)
            raise UserError(
                f"{self.path} is in use by another Darkroom (process {holder}): "
                "stop that one first, or choose another folder"
            ) from None
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _try_writing(self) -> None:
        with tempfile.TemporaryFile(dir=self.path) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write {error.filename or path}: {error.strerror}; "
        "free space or grant rights there, or choose another folder"
    )
