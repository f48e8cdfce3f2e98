"""Tie a server's life to its supervisor's, then become the server; run as a script between them.

A supervisor that is killed with -9 cannot stop anything. So on Linux the kernel is asked to do it:
the child gets SIGKILL when its parent ends. Other systems have no such request; there only the
group signals of `process.py` apply. This script imports nothing of Darkroom, so it starts in some
20 ms, and runs before any of the child's own code. The files that the child creates are readable by
this user only.

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
    if os.getppid() != parent_pid:  # it died before the request
        os._exit(1)


def _become(uid: str, gid: str) -> None:
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))


def main(parent_pid: str, uid: str, gid: str, *command: str) -> None:
    """Replace this process by `command`, to be killed when `parent_pid` ends."""
    _become(uid, gid)  # first, because changing the user clears the request
    _tie_to_parent(int(parent_pid))
    os.umask(0o077)  # tables, logs, queues and pictures must not be readable by other users
    try:
        os.execvp(command[0], command)  # noqa: S606 - fixed arguments, no shell
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        os._exit(127)


if __name__ == "__main__":
    main(*sys.argv[1:])
