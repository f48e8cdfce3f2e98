"""Run `darkroom gateway` as a process to be killed and disconnected."""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psutil

from chaos.fleet.fleet import START_WITHIN_S, Fleet, Stuck
from chaos.fleet.forked import ForkedCommand

__all__ = ["GatewayProcess", "gateway_of"]

LOOK_AGAIN_S = 0.05


class GatewayProcess:
    """One gateway process over a fleet's table; it requires no API key.

    Args:
        fleet: the fleet whose settings it has.
        overrides: settings by field name.

    Attributes:
        port: its port, once `wait_ready` has returned.
    """

    def __init__(self, fleet: Fleet, **overrides: object) -> None:
        self.port = 0
        self._log = fleet.folder / f"gateway-{uuid4().hex[:8]}.log"
        environment = fleet.environment(gateway_port=0, **overrides)
        self._process = ForkedCommand(["gateway"], environment, fleet.folder, out=self._log)

    def wait_ready(self) -> None:
        """Wait until it listens.

        Raises:
            Stuck: it ended, or reported no address.
        """
        until = time.monotonic() + START_WITHIN_S
        while (found := re.search(r"listening on http://[\d.]+:(\d+)", self.said)) is None:
            if self._process.exit_status is not None or time.monotonic() > until:
                raise Stuck(f"the gateway did not start: {self.said[-300:]}")
            time.sleep(LOOK_AGAIN_S)
        self.port = int(found[1])

    @property
    def said(self) -> str:
        """Return everything it has logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    @property
    def children(self) -> list[psutil.Process]:
        """Return the processes that serve for it, if it has several and runs."""
        try:
            return psutil.Process(self._process.pid).children()
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """Send SIGKILL, and wait until it has ended."""
        self._process.kill()


@contextmanager
def gateway_of(fleet: Fleet, **overrides: object) -> Iterator[GatewayProcess]:
    """Yield a gateway that listens, and stop it when the block ends."""
    gateway = GatewayProcess(fleet, **overrides)
    try:
        gateway.wait_ready()
        yield gateway
    finally:
        gateway.kill()
