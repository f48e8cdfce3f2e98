"""Command lines as processes that need not import our libraries anew.

Loading them takes longer than most commands run, so a server loads them once and forks a process
for each. What happens from `main()` on is the same: own folder, environment, output, exit status.
"""

import os
import sys
import time
from pathlib import Path

from chaos.warm import SERVER


def run_forked(
    arguments: list[str],
    env: dict[str, str],
    folder: Path,
    *,
    out: Path,
    err: Path,
    within_s: float,
) -> int:
    """Run `darkroom …` to its end and return its exit status; what it says is in two files."""
    process = SERVER.Process(target=_become, args=(arguments, env, folder, out, err))
    process.start()
    process.join(within_s)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise AssertionError(f"darkroom {arguments} did not end: {err.read_text()}")
    return process.exitcode


def _become(arguments: list[str], env: dict[str, str], folder: Path, out: Path, err: Path) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    for stream, path in ((sys.stdout, out), (sys.stderr, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), stream.fileno())
        stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]  # a real text stream
    sys.argv = ["darkroom", *arguments]
    from darkroom.__main__ import main  # noqa: PLC0415 - only in the process that becomes it

    main()
