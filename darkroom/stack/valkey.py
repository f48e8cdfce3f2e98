"""The broker: a real Redis or Valkey on loopback whose every second is on disk."""

import socket

from darkroom.stack.binaries import redis_binary
from darkroom.stack.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.process import Program

_TIMEOUT_S = 1.0


def broker_url(port: int) -> str:
    """Return the address Celery connects to."""
    return f"redis://{LOOPBACK}:{port}/0"


def valkey(plan: StackPlan, folder: DataFolder, port: int) -> Program:
    """Describe the broker. It runs inside its own folder, so no option has to carry a path.

    Raises:
        UserError: No binary, or its folder can't be made.
    """
    options = {
        "port": str(port),
        "bind": LOOPBACK,
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",  # a queue that evicts loses dispatches
        "daemonize": "no",
    }
    argv = [str(redis_binary(plan.environment.get("PATH", "")))]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return Program(
        name="broker",
        argv=argv,
        env=plan.environment,
        log=folder.log_file("broker"),
        cwd=folder.subfolder("broker"),
        answers=lambda: _answers(port),
    )


def _answers(port: int) -> bool:
    """Say PING by hand (`LOADING` isn't ready): importing a client costs more than the start."""
    with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
