"""Workers and gateways killed while jobs come in by both ways as fast as they can.

A gateway has two processes and their parent. Each burst of jobs has another victim.
"""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from uuid import UUID

import psutil

from chaos.fleet.fleet import Fleet, Stuck
from chaos.fleet.gateway import GatewayProcess
from chaos.fleet.producers import Producers
from chaos.stage import Stage

__all__ = ["intake_killed"]

PROCESSES = 2
LEAST_EACH = 24
BURSTS = 5

#: A process without its parent finishes requests for 10 s, and is ended 5 s later.
GONE_WITHIN_S = 30.0

#: A message may be with one worker that is killed, and then with another one.
RETURNS = 3

#: Several workers die, and one job may be with more than one of them.
MORE_CALLS = {"max_unknown_calls": 8, "max_calls_per_job": 12}


def intake_killed(stage: Stage) -> None:
    """Kill a gateway process, a worker, the gateway's parent, several of them, and all of them."""
    fleet = stage.make_fleet(**stage.scale.short_lease, **MORE_CALLS)
    fleet.start(2)
    with _gateways(fleet) as gateways:
        producers = Producers(fleet, gateways.port)
        stage.fault_begins()
        each = max(LEAST_EACH, stage.scale.jobs // BURSTS)
        for kill, revive in _plan(fleet, gateways):
            producers.burst(each, kill, revive, stage.scale.patience_s)
        stage.accepted.extend(producers.submitted)
        stage.fault_ends()
        stage.recovered()
        stage.note(
            f"{len(producers.answered)} jobs over HTTP and {len(producers.sent)} by message; "
            f"{producers.repeated} requests were repeated, {producers.known} of them had made a job"
        )
        refused = producers.refused
        stage.must("no request is refused", kept=not refused, found=refused[:3])
        stage.must("requests were cut off", kept=producers.repeated > 0, found=producers.repeated)
        _send_lost_again(stage, producers)
        _must_be_rows(stage, fleet, producers.submitted)
        gateways.must_have_left(stage)
    found = stage.finish()
    stage.all_succeed(found)


class _Gateways:
    """The gateway that serves now, and the processes of those that were killed.

    Args:
        fleet: whose gateways they are.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._orphans: list[psutil.Process] = []
        self._now = self._new()

    def port(self) -> int:
        """Return the port of the gateway that serves now."""
        return self._now.port

    def wait_ready(self) -> None:
        """Wait until the gateway that was started last serves."""
        self._now.wait_ready()

    def kill_one_child(self) -> None:
        """Kill one of the processes; their parent replaces it."""
        self._now.children[0].kill()

    def kill_children(self) -> None:
        """Kill all processes but the parent, which replaces them."""
        for child in self._now.children:
            child.kill()

    def kill_parent(self) -> None:
        """Kill the parent alone; its processes have to end by themselves."""
        self._orphans += self._now.children
        self._now.kill()

    def kill_all(self) -> None:
        """Kill the parent and its processes."""
        self.kill_children()
        self.kill_parent()

    def replace(self) -> None:
        """Start another gateway."""
        self._now = self._new()
        self.wait_ready()

    def must_have_left(self, stage: Stage) -> None:
        """Require that no process has outlived its parent."""
        _, left = psutil.wait_procs(self._orphans, GONE_WITHIN_S)
        stage.must("a process of a gateway ends with its parent", kept=not left, found=len(left))

    def close(self) -> None:
        """End all processes."""
        self.kill_all()
        for process in self._orphans:
            if process.is_running():
                process.kill()

    def _new(self) -> GatewayProcess:
        return GatewayProcess(self._fleet, gateway_processes=PROCESSES)


@contextmanager
def _gateways(fleet: Fleet) -> Iterator[_Gateways]:
    gateways = _Gateways(fleet)
    try:
        gateways.wait_ready()
        yield gateways
    finally:
        gateways.close()


def _plan(
    fleet: Fleet, gateways: _Gateways
) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """Yield what to kill in each burst, and what to start afterwards."""

    def kill_worker() -> None:
        next(worker for worker in fleet.workers if worker.exit_status is None).kill()

    def start_worker() -> None:
        fleet.start(1)

    def kill_worker_and_children() -> None:
        kill_worker()
        gateways.kill_children()

    def kill_everything() -> None:
        kill_worker()
        kill_worker()
        gateways.kill_all()

    def start_everything() -> None:
        gateways.replace()
        fleet.start(2)

    yield gateways.kill_one_child, lambda: None
    yield kill_worker, start_worker
    yield gateways.kill_parent, gateways.replace
    yield kill_worker_and_children, start_worker
    yield kill_everything, start_everything


def _send_lost_again(stage: Stage, producers: Producers) -> None:
    """Send messages without a row again under their ids, as a careful producer does.

    Redis hands out a message before the worker can note that it has it. A worker that is killed in
    between loses it, but never more than this one: it asks for one message at a time.
    """
    fleet = stage.fleet

    def lost() -> list[UUID]:
        return sorted(set(producers.sent) - set(fleet.all_ids()))

    with suppress(Stuck):
        stage.wait_until(lambda: not lost(), "a row for every message", _returned_within_s(stage))
    again = lost()
    killed = sum(worker.exit_status == -signal.SIGKILL for worker in fleet.workers)
    is_kept = len(again) <= killed
    stage.must(f"at most {killed} messages are lost", kept=is_kept, found=len(again))
    stage.note(f"{len(again)} of the messages were lost with {killed} workers and sent again")
    for number, job_id in enumerate(again):
        fleet.send(number, str(job_id))


def _returned_within_s(stage: Stage) -> float:
    """Return how long the broker may take to hand out a dead worker's messages again."""
    return RETURNS * float(stage.fleet.settings["submit_again_s"]) + GONE_WITHIN_S


def _must_be_rows(stage: Stage, fleet: Fleet, submitted: list[UUID]) -> None:
    """Require that each answer and each message is one row, and that there is no other row."""
    wanted = set(submitted)
    try:
        stage.wait_until(lambda: wanted <= set(fleet.all_ids()), "a row for every job")
    except Stuck:
        missing = wanted - set(fleet.all_ids())
        stage.must("every 202 and every message is a row", kept=False, found=len(missing))
    many = len(wanted)
    stage.must("every answer is a job of its own", kept=many == len(submitted), found=many)
    rows = len(fleet.all_ids())
    stage.must("nothing else is a row", kept=rows <= many, found=f"{rows} of {many}")
