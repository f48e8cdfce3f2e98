"""Run the nearest tests over a copy of the project in which one bug is planted."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

__all__ = ["Copy", "Outcome"]

#: pytest's exit status for "all passed" and for "a test failed or could not be collected".
_PASSED, _NOTICED = 0, {1, 2, 3}


class Outcome(Enum):
    """The result of the tests of a mutant."""

    KILLED = "killed"
    """A test failed, or the code could not even be imported."""

    TIMED_OUT = "timed out"
    """The tests did not finish in time; counted as killed."""

    SURVIVED = "survived"
    """Every test passed."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A finished run: its outcome and how long it took."""

    outcome: Outcome
    took_s: float


class Copy:
    """A copy of the project's tracked files, in which bugs are planted one at a time.

    Args:
        root: the project.
        folder: an empty folder for the copy.
        python: the interpreter of the project's environment.
    """

    def __init__(self, root: Path, folder: Path, python: Path) -> None:
        self._folder = folder
        self._python = python
        self._written = 1_000_000_000
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (root / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(root / name, target)

    def run(self, tests: Sequence[str], *, limit_s: float) -> Trial:
        """Run tests on the code as it stands.

        Args:
            tests: paths of test files or ids of tests.
            limit_s: after so many seconds the run is ended, with all its children.

        Raises:
            RuntimeError: pytest was called wrongly, or found no test.
        """
        started = time.monotonic()
        status = self._pytest(tests, limit_s)
        took_s = time.monotonic() - started
        if status is None:
            return Trial(Outcome.TIMED_OUT, took_s)
        if status == _PASSED:
            return Trial(Outcome.SURVIVED, took_s)
        if status in _NOTICED:
            return Trial(Outcome.KILLED, took_s)
        raise RuntimeError(f"pytest ended with status {status} for {' '.join(tests)}")

    def try_mutant(self, file: str, mutated: str, tests: Sequence[str], *, limit_s: float) -> Trial:
        """Run tests with a file's source replaced, and restore the source."""
        path = self._folder / file
        source = path.read_text(encoding="utf-8")
        self._write(path, mutated)
        try:
            return self.run(tests, limit_s=limit_s)
        finally:
            self._write(path, source)

    def _write(self, path: Path, source: str) -> None:
        """Write the file with a unique time.

        Python treats bytecode as current if the source has the same size and the same second.
        """
        self._written += 1
        path.write_text(source, encoding="utf-8")
        os.utime(path, (self._written, self._written))

    def _pytest(self, tests: Sequence[str], limit_s: float) -> int | None:
        """Run pytest in its own session, so that all it has started can be ended with it."""
        words = [str(self._python), "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
        # Processes that tests start import the packages from the copy, not from the project.
        environment = os.environ | {"PYTHONPATH": str(self._folder)}
        process = subprocess.Popen(
            words,
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            return process.wait(limit_s)
        except subprocess.TimeoutExpired:
            return None
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the process group of a run that is over or took too long: servers may be left."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()
