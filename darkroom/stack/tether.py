"""Run as a script between us and a server: ties the server's life to ours, then becomes the server.

A supervisor that is killed with -9 can't stop anything, so on Linux the kernel is asked to do it:
the child gets SIGKILL when its parent goes. Elsewhere there is no such request, and only the group
signals of `process.py` remain. It imports nothing of Darkroom, so it starts in some 20 ms, and runs
before any of the child's own code. What the child writes is for its own user alone.

Usage: `python -I -S tether.py PARENT_PID UID GID COMMAND...` (UID and GID are `-` to stay).
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
"""From Linux's <sys/prctl.h>; see prctl(2)."""


def _tie_to_parent(parent_pid: int) -> None:
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before we asked
        os._exit(1)


def _become(uid: str, gid: str) -> None:
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))


def main(parent_pid: str, uid: str, gid: str, *command: str) -> None:
    """Turn this process into `command`, to be killed when `parent_pid` ends."""
    _become(uid, gid)  # first: changing who we are clears the request
    _tie_to_parent(int(parent_pid))
    os.umask(0o077)  # tables, logs, queues and pictures hold what nobody else is to read
    try:
        os.execvp(command[0], command)  # noqa: S606 - a list of our own words, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(*sys.argv[1:])
