"""What a gateway is charged for reading a job, and for a page of 50.

The reference is a bare FastAPI route that selects one row. Both run at once and are loaded in
turns: gateway, route, route, gateway. The ended job was run by a worker, so it has an image and a
callback's delivery; the page has jobs that are queued.
"""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Final
from uuid import UUID

from uuid_utils.compat import uuid7

from benchmarks.contenders import bare_route as bare
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.http_servers import bare_route, gateway
from benchmarks.figures.api.http_load import HttpLoad
from benchmarks.readings.reading import OURS, Reading, in_turns
from benchmarks.scale import Scale
from benchmarks.servers.blast import get
from benchmarks.servers.servers import Servers
from benchmarks.servers.until import until
from storage.intake.insert import insert_jobs
from storage.records.job import NewJob
from tests.services.server import Server

__all__ = ["BARE_READ", "JOBS_READ", "PAGE", "READS", "reads"]

READS: Final = "reads over HTTP, {kind}"
PAGE: Final = "page of 50"
JOBS_READ: Final = ("queued", "ended, with a callback")
BARE_READ: Final = "bare route, one row"
CLIENTS: Final = 4
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
        load = HttpLoad(servers, folder, scale.reads, unit="reads", status=200)
        show = {
            kind: partial(_reading, load, kind, OURS, ours, f"/v1/jobs/{job_id}")
            for kind, job_id in zip(JOBS_READ, (queued, ended), strict=True)
        }
        if scale.is_darkroom_only:
            yield from (each() for each in show.values())
        else:
            with bare_route(fleet, folder) as route:
                for kind, each in show.items():
                    select = partial(_reading, load, kind, BARE_READ, route, _bare_path(route))
                    yield from in_turns(each, select)
        yield _reading(load, PAGE, OURS, ours, "/v1/jobs?limit=50")


def _reading(load: HttpLoad, kind: str, name: str, server: Server, path: str) -> Reading:
    figure = READS.format(kind=kind)
    return load.reading(figure, name, server, lambda count: [get(path)] * count, CLIENTS)


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
