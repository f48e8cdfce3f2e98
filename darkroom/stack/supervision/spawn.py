"""Start a process that cannot outlive this one.

One thread, which lives as long as the interpreter, forks all of them. Linux treats the thread that
forked as the parent. So a child started from a short-lived thread would be killed the moment that
thread ends.
"""

import functools
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_TETHER = Path(__file__).with_name("tether.py")


@functools.cache
def _forking_thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="darkroom-spawn")


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    log: Path,
    cwd: Path | None = None,
    run_as: tuple[int, int] | None = None,
) -> subprocess.Popen[bytes]:
    """Start `argv` in its own session, output appended to a file, killed when this process ends.

    Args:
        argv: The command; found on the PATH of `env` when it has no slash.
        env: The child's whole environment.
        log: File that standard output and error are appended to.
        cwd: Folder to run in; the current one when left out.
        run_as: User and group id to become first; needs root.

    Returns:
        The running process; its id is also its process group's.

    Raises:
        OSError: The log can't be opened or this machine can't start another process.
    """
    uid, gid = run_as if run_as is not None else ("-", "-")
    tether = [sys.executable, "-I", "-S", str(_TETHER), str(os.getpid()), str(uid), str(gid)]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as output:
            return subprocess.Popen(
                [*tether, *argv],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    return _forking_thread().submit(start).result()
