"""Load the simulator, and no other Darkroom code, in the process that forks each simulator.

Run as a script, by `forked_simulator.py`: a simulator takes most of its start to load its
libraries, so they are loaded here once, and each simulator is a fork that goes on from `main()`.
Reads what to start, a line of JSON each, and answers with its process id; ends with its input, and
its simulators with it.
"""

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from simulator.__main__ import main

PR_SET_PDEATHSIG = 1

#: What the simulator's server loads by name, at its start or with the first call.
LATER = (
    "uvicorn.lifespan.off",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "PIL.PngImagePlugin",
)


def _become(words: list[str], folder: str, out: str, err: str) -> NoReturn:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    os.chdir(folder)
    modes = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_APPEND] * 2)
    for number, (path, mode) in enumerate(zip((os.devnull, out, err), modes, strict=True)):
        os.dup2(os.open(path, mode, 0o600), number)
    try:
        status = main(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    sys.stdout.flush()
    Path(f"{out}.status").write_text(str(status), "utf-8")
    os._exit(status)


def _serve() -> None:
    for name in LATER:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no process asks this one how a fork ended
    while line := sys.stdin.readline():
        pid = os.fork()
        if not pid:
            _become(**json.loads(line))
        print(pid, flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve()
