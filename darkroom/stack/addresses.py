"""Choose the port of each service: the requested one, else the last one, else a free one."""

import time
from collections.abc import Iterable

from darkroom.errors import UserError
from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LAST_PORT, LOOPBACK, free_port, is_free

_FILE = "ports.json"

_GRACE_S = 2.0
"""How long a port may stay taken after a stack was killed, until the kernel frees it."""


def choose_ports(plan: StackPlan, folder: DataFolder, services: Iterable[str]) -> dict[str, int]:
    """Choose the ports of the services to start, and record them in the folder.

    Raises:
        UserError: A requested port is taken, or the choice can't be written.
    """
    saved = folder.remembered(_FILE)
    before = {n: p for n, p in saved.items() if isinstance(p, int) and 0 < p <= LAST_PORT}
    chosen: dict[str, int] = {}
    for service in services:
        chosen[service] = _port(service, plan.ports.get(service, 0), before.get(service))
    folder.remember(_FILE, before | chosen)
    return chosen


def _port(service: str, requested: int, before: int | None) -> int:
    if requested:
        if not _becomes_free(requested):
            raise UserError(
                f"port {requested} on {LOOPBACK}, asked for {service}, is taken: "
                "stop what listens there, or choose another port (0 takes a free one)"
            )
        return requested
    if before and _becomes_free(before):
        return before
    return free_port()


def _becomes_free(port: int) -> bool:
    deadline_s = time.monotonic() + _GRACE_S
    while not is_free(port):
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.05)
    return True
