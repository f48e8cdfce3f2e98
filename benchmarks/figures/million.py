"""A batch of a million lines through the gateway: its time until acceptance, and the memory.

The gateway is the command that users start. The client is a process with `darkroom-client` alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.http_servers import gateway
from benchmarks.readings.reading import OURS, Reading
from benchmarks.scale import Scale
from benchmarks.servers.processes import charged_s, peak_bytes
from benchmarks.servers.servers import Servers
from tests.services.server import Server

__all__ = ["MILLION", "million"]

MILLION = "a batch accepted through the gateway"
REPO = Path(__file__).parents[2]


def million(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Upload, and wait for the answer that accepts all lines."""
    fleet = DarkroomFleet(servers)
    folder = Path(tempfile.mkdtemp(prefix="gateway-", dir=servers.folder))
    try:
        with gateway(fleet, folder) as server:
            before_s, before = charged_s(server.pid), charged_s(servers.postgres.pid)
            result = _upload(server.port, scale.lines)
            numbers = {
                "lines": scale.lines,
                "seconds": result["seconds"],
                "lines_per_s": scale.lines / result["seconds"],
                "client_mb": result["peak_mb"],
                "gateway_mb": peak_bytes(server.pid) / 1e6,
                "gateway_s": charged_s(server.pid) - before_s,
                "postgres_s": charged_s(servers.postgres.pid) - before,
            }
        yield Reading(MILLION, OURS, numbers)
    finally:
        fleet.stop()


def _upload(port: int, lines: int) -> dict[str, float]:
    words = ["--url", f"http://{Server.host}:{port}", "--lines", str(lines)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.servers.upload", *words],
        cwd=REPO,
        env={"PYTHONPATH": f"{REPO}:{REPO / 'client'}"},
        check=True,
        capture_output=True,
    )
    result: dict[str, float] = json.loads(done.stdout)
    return result
