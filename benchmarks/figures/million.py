"""A batch of a million lines through the gateway: its time until acceptance, and the memory.

The gateway is the command that users start. The client is a process with `darkroom-client` alone.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.readings.reading import Reading
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
        with _gateway(fleet, folder) as gateway:
            before_s, before = charged_s(gateway.pid), charged_s(servers.postgres.pid)
            result = _upload(gateway.port, scale.lines)
            numbers = {
                "lines": scale.lines,
                "seconds": result["seconds"],
                "lines_per_s": scale.lines / result["seconds"],
                "client_mb": result["peak_mb"],
                "gateway_mb": peak_bytes(gateway.pid) / 1e6,
                "gateway_s": charged_s(gateway.pid) - before_s,
                "postgres_s": charged_s(servers.postgres.pid) - before,
            }
        yield Reading(MILLION, "Darkroom", numbers)
    finally:
        fleet.stop()


@contextmanager
def _gateway(fleet: DarkroomFleet, folder: Path) -> Iterator[Server]:
    settings = {f"DARKROOM_{name.upper()}": text for name, text in fleet.fleet.settings.items()}
    keys = {
        "AWS_ACCESS_KEY_ID": fleet.fleet.bucket.access_key_id,
        "AWS_SECRET_ACCESS_KEY": fleet.fleet.bucket.secret_access_key,
    }
    start = [sys.executable, "-P", "-m", "darkroom", "gateway", "--port"]
    server = Server(
        "gateway",
        lambda port: [*start, str(port)],
        _answers,
        folder=folder,
        env={"PYTHONPATH": str(REPO), **settings, **keys},
    )
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _answers(port: int) -> bool:
    connection = HTTPConnection(Server.host, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except HTTPException:
        return False
    finally:
        connection.close()


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
