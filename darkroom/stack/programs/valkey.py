"""The broker: a real Redis or Valkey on loopback that writes to disk every second."""

import socket

from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.programs.binaries import redis_binary
from darkroom.stack.supervision.process import Program

_TIMEOUT_S = 1.0


def broker_url(port: int) -> str:
    """Return the broker's address for Celery."""
    return f"redis://{LOOPBACK}:{port}/0"


def valkey(plan: StackPlan, folder: DataFolder, port: int) -> Program:
    """Describe the broker. It runs inside its own folder, so no option contains a path.

    Raises:
        UserError: No binary is found, or its folder can't be created.
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
    """Send PING without a client library (`LOADING` is not ready): its import takes too long."""
    with socket.create_connection((LOOPBACK, port), timeout=_TIMEOUT_S) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(64).startswith(b"+PONG")
