"""What accepting one job over HTTP costs: the gateway's CPU, the database's, statements and time.

The reference is a bare FastAPI route with the same model and one INSERT. Both run at once and are
loaded in turns: gateway, route, route, gateway. Statements are counted on the wire, by a gateway of
its own: the wiretap costs time. Each job has an idempotency key, as the pages advise.
"""

import hashlib
import hmac
import itertools
import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.contenders import bare_route as bare
from benchmarks.contenders.darkroom_fleet import DarkroomFleet
from benchmarks.contenders.http_servers import bare_route, gateway
from benchmarks.figures.api.http_load import HttpLoad, Requests
from benchmarks.figures.wiretap import tapped
from benchmarks.readings.reading import OURS, Reading, in_turns
from benchmarks.scale import Scale
from benchmarks.servers.blast import post, run_blast
from benchmarks.servers.servers import Servers

__all__ = ["ACCEPT", "ACCEPT_HOOK", "ACCEPT_STATEMENTS", "BARE", "CLIENTS", "accept_http"]

ACCEPT: Final = "jobs accepted over HTTP"
ACCEPT_STATEMENTS: Final = "statements per job accepted over HTTP"
ACCEPT_HOOK: Final = "hook deliveries accepted"
BARE: Final = "bare route"
CLIENTS: Final = (1, 4, 16, 64)
#: Jobs whose statements are counted, for each number of clients: fewer than fill a window.
COUNTED: Final = 90

SECRET: Final = "a secret of the benchmark's own"  # noqa: S105 - of no service
HOOKS: Final = """
[hooks.bench]
scheme = "hmac"
header = "X-Signature"
secrets = ["{secret}"]
request = { prompt = "{title}", width = 1024, height = 768 }
"""

_numbers = itertools.count()


def accept_http(servers: Servers, scale: Scale) -> Iterator[Reading]:
    """Count statements, then measure each number of clients, then the hook."""
    fleet = DarkroomFleet(servers)
    folder = Path(tempfile.mkdtemp(prefix="accept-", dir=servers.folder))
    try:
        yield from _statements(fleet, folder)
        yield from _costs(servers, fleet, folder, scale)
    finally:
        fleet.stop()


def _costs(servers: Servers, fleet: DarkroomFleet, folder: Path, scale: Scale) -> Iterator[Reading]:
    with ExitStack() as stack:
        ours = stack.enter_context(gateway(fleet, folder, hooks_file=_hooks_file(folder)))
        load = HttpLoad(servers, folder, scale.posts, unit="jobs", status=202)
        for clients in CLIENTS:
            accept = partial(load.reading, ACCEPT, OURS, ours, _jobs("/v1/jobs"), clients)
            if scale.is_darkroom_only:
                yield accept()
                continue
            with bare_route(fleet, folder) as route:
                insert = partial(load.reading, ACCEPT, BARE, route, _jobs(bare.PATH), clients)
                yield from in_turns(accept, insert)
        yield load.reading(ACCEPT_HOOK, OURS, ours, _deliveries, 16)


def _statements(fleet: DarkroomFleet, folder: Path) -> Iterator[Reading]:
    """Count while the window has space, as on a fleet that keeps up; no worker runs here."""
    with (
        tapped(fleet.fleet.database_url) as (tap, url),
        gateway(fleet, folder, database_url=url) as server,
    ):
        made = _jobs("/v1/jobs")
        for clients in (1, 16):
            run_blast(server.port, made(clients * 4), clients=clients, folder=folder)
            before = tap.statements, tap.round_trips
            run_blast(server.port, made(COUNTED), clients=clients, folder=folder)
            statements, trips = tap.statements - before[0], tap.round_trips - before[1]
            numbers = {"statements": statements / COUNTED, "trips": trips / COUNTED}
            yield Reading(ACCEPT_STATEMENTS, OURS, {"clients": clients, **numbers})


def _jobs(path: str) -> Requests:
    def made(count: int) -> Sequence[bytes]:
        return [_job(path, next(_numbers)) for _ in range(count)]

    return made


def _job(path: str, number: int) -> bytes:
    request = {"prompt": f"a lighthouse in a storm, number {number}", "width": 1024, "height": 768}
    body = json.dumps({"request": request, "metadata": {"product": number}}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"order-{number}"}
    return post(path, headers, body)


def _deliveries(count: int) -> Sequence[bytes]:
    return [_delivery(next(_numbers)) for _ in range(count)]


def _delivery(number: int) -> bytes:
    body = json.dumps({"title": f"a lighthouse in a storm, number {number}"}).encode()
    signature = hmac.digest(SECRET.encode(), body, hashlib.sha256).hex()
    headers = {"Content-Type": "application/json", "X-Signature": signature}
    return post("/v1/hooks/bench", headers, body)


def _hooks_file(folder: Path) -> Path:
    secret, file = folder / "hook-secret", folder / "hooks.toml"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    file.write_text(HOOKS.replace("{secret}", f"file:{secret}"), "utf-8")
    return file
