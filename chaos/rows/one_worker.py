"""One worker of several has API trouble: the others must be unaffected."""

import re
import time
from threading import Lock

from chaos.fleet.proxy import Act, Line, Proxy
from chaos.fleet.worker import WorkerProcess
from chaos.stage import Stage
from storage.fleet.leases import live_workers
from storage.fleet.state import fleet_state

__all__ = ["key_revoked", "unreachable"]

#: Seconds of the matrix: how long deliveries are counted, and how long the fleet may stabilise.
COUNTED_S = 100.0
SETTLED_AFTER_S = 50.0

#: Share of the deliveries that the others must reach, compared with their rate alone.
LEAST_SHARE = 0.9

#: At this size there are too few deliveries for a rate.
UNRATED = "small"

REFUSAL = b'{"code": "UNAUTHORIZED", "message": "this key was revoked"}'
REFUSED = (
    b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(REFUSAL), REFUSAL)
)
LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Revocable:
    """Refuses the API key of every call through its proxy once it is revoked; a judge for `Proxy`.

    Attributes:
        refused: number of calls answered that way.
    """

    def __init__(self) -> None:
        self.refused = 0
        self._is_revoked = False
        self._guard = Lock()
        self._read: dict[Line, bytes] = {}

    def revoke(self) -> None:
        """Revoke the key from the next request on."""
        self._is_revoked = True

    def __call__(self, line: Line, chunk: bytes) -> Act | bytes:
        """Answer a complete request; requests begun earlier continue."""
        with self._guard:
            if not self._is_revoked and line not in self._read:
                return Act.PASS_ON
            request = self._read[line] = self._read.get(line, b"") + chunk
            if not _is_whole(request):
                return Act.SWALLOW
            self.refused += 1
            del self._read[line]
        return REFUSED


def key_revoked(stage: Stage) -> None:
    """Give two workers separate proxies to the API, and revoke the key on one of them."""
    simulator = stage.ground.simulator
    judge = Revocable()
    proxy = Proxy(simulator.port, judge)
    fleet = stage.make_fleet(**_few_calls(stage))
    alone = _rate_of(stage, 1)
    way = simulator.url.replace(f":{simulator.port}", f":{proxy.port}")
    [failing] = fleet.start(1, playground_url=way)
    stage.load_until(lambda: bool(fleet.held_by(failing, "running")), "calls of the second worker")
    stage.fault_begins()
    judge.revoke()
    stage.load_until(lambda: _is_paused(stage, failing), "the pause of one worker")
    _others_go_on(stage, alone)
    limit = 2 * _few_calls(stage)["concurrency"]
    refused = judge.refused
    stage.must("one worker makes few calls in vain", kept=refused <= limit, found=refused)
    stage.note(f"{judge.refused} calls were refused")
    _ends_unharmed(stage, failing)
    proxy.close()


def unreachable(stage: Stage) -> None:
    """Run three good workers, and a fourth that cannot reach the API."""
    proxy = Proxy(stage.ground.simulator.port)
    port = proxy.port
    proxy.close()  # nothing listens there from now on
    fleet = stage.make_fleet(**_few_calls(stage))
    alone = _rate_of(stage, 3)
    simulator = stage.ground.simulator
    way = simulator.url.replace(f":{simulator.port}", f":{port}")
    [failing] = fleet.start(1, playground_url=way)
    stage.fault_begins()
    stage.load_until(lambda: _is_paused(stage, failing), "the pause of one worker")
    _others_go_on(stage, alone)
    _ends_unharmed(stage, failing)


def _few_calls(stage: Stage) -> dict[str, int]:
    """Return so few calls at once that the calls, not the shared processor, limit the rate."""
    return {"concurrency": max(4, stage.scale.concurrency // 4), "breaker_failures": 6}


def _rate_of(stage: Stage, workers: int) -> float:
    """Start good workers and measure how many images a second they deliver."""
    stage.load()
    stage.fleet.start(workers)
    stage.wait_for_load()
    return _rate(stage)


def _rate(stage: Stage) -> float:
    """Return images a second over a while, with enough to do all the time."""
    before, began = stage.fleet.ended, time.monotonic()
    stage.sleep_under_load(COUNTED_S if stage.scale.name != UNRATED else SETTLED_AFTER_S / 5)
    return (stage.fleet.ended - before) / (time.monotonic() - began)


def _others_go_on(stage: Stage, alone: float) -> None:
    stage.sleep_under_load(SETTLED_AFTER_S if stage.scale.name != UNRATED else 1)
    beside = _rate(stage)
    stage.note(f"{alone:.1f} images/s alone, {beside:.1f} beside it")
    if stage.scale.name != UNRATED:
        kept = beside >= LEAST_SHARE * alone
        stage.must("the others deliver 90 %", kept=kept, found=f"{beside:.1f} of {alone:.1f}")
    pause = fleet_state(stage.fleet.database).pause
    stage.must("the fleet is not paused", kept=pause is None, found=pause)


def _ends_unharmed(stage: Stage, failing: WorkerProcess) -> None:
    stage.recovered(lambda: True)
    stage.must("it is still paused alone", kept=_is_paused(stage, failing))
    stage.must("the fleet was never paused", kept=not stage.fleet.said("fleet paused"))
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    burned = sum(job.attempts - 1 for job in found.jobs)
    stage.must("no attempt is burned", kept=not burned, found=burned)


def _is_paused(stage: Stage, worker: WorkerProcess) -> bool:
    known = live_workers(stage.fleet.database)
    return any(each.pid == worker.pid and each.paused_at is not None for each in known)


def _is_whole(request: bytes) -> bool:
    head, separator, body = request.partition(b"\r\n\r\n")
    length = LENGTH.search(head)
    return bool(separator) and len(body) >= (int(length[1]) if length else 0)
