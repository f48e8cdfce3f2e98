"""What a gateway is charged for reading a job, and for a page of 50.

The reference is a bare FastAPI route that selects one row. Both run at once and are loaded in
turns: gateway, route, route, gateway. The ended job was run by a worker, so it has an image and a
callback's delivery; the page has jobs that are queued.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from benchmarks.contenders import bare_route as bare
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.http_servers import bare_route, gateway
from benchmarks.readings.reading import Reading, mean_of
from benchmarks.scale import Scale
from benchmarks.servers.blast import get, run_blast
from benchmarks.servers.processes import charged_s
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from storage.intake.insert import insert_jobs
from storage.records.job import NewJob
from tests.services.server import Server

__all__ = ["BARE_READ", "JOBS_READ", "PAGE", "READS", "reads"]

READS: Final = "reads over HTTP, {kind}"
PAGE: Final = "page of 50"
JOBS_READ: Final = ("queued", "ended, with a callback")
OURS: Final = "Darkroom"
BARE_READ: Final = "bare route, one row"
CLIENTS: Final = 4
#: Requests that are sent before the measured ones, as a part of them.
WARM_UP: Final = 4
QUEUED: Final = 200


def reads(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Have a job end, queue others, and read them all."""
    fleet = DarkroomFleet(servers, concurrency=4)
    folder = Path(tempfile.mkdtemp(prefix="reads-", dir=servers.folder))
    with ExitStack() as stack:
        stack.callback(fleet.stop)
        ended = _ended(servers, fleet)
        queued = fleet.fleet.load(QUEUED)[QUEUED // 2]
        ours = stack.enter_context(gateway(fleet, folder))
        load = _Load(servers, folder, scale.reads)
        kinds = {JOBS_READ[0]: f"/v1/jobs/{queued}", JOBS_READ[1]: f"/v1/jobs/{ended}"}
        if scale.is_darkroom_only:
            yield from (load.reading(kind, OURS, ours, path) for kind, path in kinds.items())
        else:
            with bare_route(fleet, folder) as route:
                for kind, path in kinds.items():
                    yield from _in_turns(load, kind, (ours, path), (route, _bare_path(route)))
        yield load.reading(PAGE, OURS, ours, "/v1/jobs?limit=50")


def _in_turns(
    load: "_Load", kind: str, ours: tuple[Server, str], route: tuple[Server, str]
) -> Iterator[Reading]:
    pair = [(OURS, *ours), (BARE_READ, *route)]
    first, second, third, fourth = (load.reading(kind, *each) for each in (*pair, *reversed(pair)))
    yield mean_of(first, fourth)
    yield mean_of(second, third)


class _Load:
    """Loads a server, and reads what that was charged."""

    def __init__(self, servers: Servers, folder: Path, count: int) -> None:
        self._servers = servers
        self._folder = folder
        self._count = count

    def reading(self, kind: str, name: str, server: Server, path: str) -> Reading:
        """Return the costs of a read."""
        request = get(path)
        self._send(server, [request] * (self._count // WARM_UP))
        before_s, before = charged_s(server.pid), self._servers.charges()
        took_s = self._send(server, [request] * self._count)
        used_s, after = charged_s(server.pid) - before_s, self._servers.charges()
        numbers = {
            "gateway_ms": 1000 * used_s / self._count,
            "postgres_ms": after.each_ms(before, self._count)["postgres_ms"],
            "reads_per_s": self._count / took_s,
        }
        return Reading(READS.format(kind=kind), name, numbers)

    def _send(self, server: Server, requests: list[bytes]) -> float:
        blast = run_blast(server.port, requests, clients=CLIENTS, folder=self._folder)
        if blast.statuses != {"200": len(requests)}:
            raise RuntimeError(f"not all answers were 200: {blast.statuses}")
        return blast.took_s


def _ended(servers: Servers, fleet: DarkroomFleet) -> UUID:
    """Have a worker run a job with a callback, and return it after the worker's end."""
    job_id, callback = uuid7(), f"http://{Server.host}:{servers.s3.port}/hook"
    job = NewJob(job_id, fleet.fleet.request(0), "0", callback_url=callback)
    insert_jobs(fleet.fleet.database, [job])
    fleet.start_cold()
    until(lambda: fleet.fleet.ended > 0, "the end of the job that is read")
    fleet.drain()
    return job_id


def _bare_path(route: Server) -> str:
    """Submit a job to the bare route, and return its address."""
    connection = HTTPConnection(Server.host, route.port, timeout=30)
    try:
        body = json.dumps({"request": {"prompt": "a lighthouse in a storm"}})
        connection.request("POST", bare.PATH, body, {"Content-Type": "application/json"})
        made = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    return f"{bare.PATH}/{made['id']}"
