"""Faults of workers: killed, stopped or restarted processes."""

import json
import signal
import time
from pathlib import Path
from typing import Any
from uuid import UUID

from chaos.fleet.fleet import Fleet
from chaos.fleet.snags import STEPS, Snag
from chaos.fleet.worker import WorkerProcess
from chaos.stage import Stage
from storage.records.job import Job
from storage.records.states import JobStatus

__all__ = [
    "killed_at_each_step",
    "killed_in_flight",
    "killed_in_storing",
    "rolling_restart",
    "stopped_at_each_step",
]

AGAIN_WITHIN_S = 30.0
IN_FLIGHT = 100
HAS_ITS_IMAGE = {"spooled", "marked storing", "put", "finished"}


def killed_in_flight(stage: Stage) -> None:
    """Kill -9 a worker with a hundred calls in flight; a full-size run has default leases."""
    scale = stage.scale
    leases = {"lease_s": 20.0, "heartbeat_s": 5.0} if scale.name == "full" else scale.short_lease
    fleet = stage.make_fleet(concurrency=scale.first_concurrency, **leases)
    [victim] = fleet.start(1)
    fleet.start(1, concurrency=scale.first_concurrency // 4)
    stage.load(scale.first_jobs)
    stage.wait_for_load(0.1)
    _wait_for_long_calls(stage, victim, int(0.9 * scale.first_concurrency))
    stage.fault_begins()
    victim.kill()
    stage.ground.simulator.put_latency_range(*scale.latency_s)
    in_flight = set(fleet.held_at_death(victim, "running"))
    stage.note(f"{len(in_flight)} calls were in flight")
    least = min(IN_FLIGHT, int(0.8 * scale.first_concurrency))
    stage.must("enough calls were in flight", kept=len(in_flight) >= least, found=len(in_flight))
    took_s = stage.recovered(lambda: not fleet.held_by(victim, "running"))
    stage.must_within(AGAIN_WITHIN_S, took_s, "dispatched again within 30 s")
    found = stage.finish()
    stage.all_succeed(found)
    extra = found.charged - len(stage.accepted)
    stage.must("extra calls are at most those in flight", kept=extra <= len(in_flight), found=extra)
    strangers = [job.id for job in found.jobs if job.calls_unknown and job.id not in in_flight]
    stage.must("only they are counted as unknown", kept=not strangers, found=strangers[:3])
    # An image that was in the spool by then is adopted: that job needs no second call.
    uncounted = [job.id for job in found.jobs if job.calls_made != 1 + job.calls_unknown]
    stage.must(
        "each call made again is counted as unknown", kept=not uncounted, found=uncounted[:3]
    )


def killed_at_each_step(stage: Stage) -> None:
    """Kill each of seven workers at another step, under load; two live on, with the same spool."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    notes = stage.folder / "snags.jsonl"
    stage.load()
    fleet.start(1)
    victims = _snagged(stage, fleet, notes, signal.SIGKILL)
    stage.load_until(
        lambda: all(worker.exit_status is not None for worker in victims), "every worker's death"
    )
    stage.fault_begins()
    fleet.start(1)
    stage.recovered(lambda: not any(fleet.held_by(w, "running", "storing") for w in victims))
    jobs = {job.id: job for job in stage.finish().jobs}
    for line in _lines(notes):
        step, job = line["step"], jobs[UUID(line["job"])]
        if step in HAS_ITS_IMAGE:
            _must_not_have_been_called_again(stage, step, job)
        else:
            is_counted = (job.calls_unknown, job.calls_made) == (1, 2)
            stage.must(f"killed when {step}: one unknown call", kept=is_counted, found=job)
    stage.all_succeed(stage.tally or stage.count())


def killed_in_storing(stage: Stage) -> None:
    """Let S3 hang, kill a worker with images on its own disk, and restart it much later."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    elsewhere = {"spool_dir": stage.folder / "spool-elsewhere"}
    stage.load()
    fleet.start(1)
    [victim] = fleet.start(1, **elsewhere)
    stage.wait_for_load()
    stage.ground.s3.pause()
    stage.load_until(lambda: len(fleet.held_by(victim, "storing")) >= 5, "images on their way")
    stage.fault_begins()
    victim.kill()
    stage.ground.s3.resume()
    running = fleet.held_at_death(victim, "running")
    storing = set(fleet.held_by(victim, "storing"))
    stage.sleep(60)
    still = set(fleet.held_by(victim, "storing"))
    stage.must("a stored image is waited for", kept=still == storing, found=len(storing - still))
    fleet.start(1, **elsewhere)
    stage.fault_ends()
    stage.recovered(lambda: not fleet.held_by(victim, "storing"))
    found = stage.finish()
    stage.all_succeed(found)
    again = [job.id for job in found.jobs if job.id in storing and job.calls_made != 1]
    stage.must("a spooled image is adopted, not paid again", kept=not again, found=again[:3])
    lost = sum(job.calls_lost for job in found.jobs)
    stage.must("no image counts as lost", kept=not lost, found=lost)
    extra = found.charged - len(stage.accepted)
    stage.must("extra calls are at most those in flight", kept=extra <= len(running), found=extra)


def stopped_at_each_step(stage: Stage) -> None:
    """Stop each of seven workers at another step for three leases, and continue it stale."""
    fleet = stage.make_fleet(**stage.scale.short_lease)
    notes = stage.folder / "snags.jsonl"
    stage.load()
    fleet.start(2)
    sleepers = _snagged(stage, fleet, notes, signal.SIGSTOP)
    stage.load_until(lambda: all(worker.is_stopped for worker in sleepers), "every worker's sleep")
    stage.fault_begins()
    time.sleep(stage.scale.outage_s(60))
    stage.recovered(lambda: not any(fleet.held_by(worker, "running") for worker in sleepers))
    before = {job.id: job for job in fleet.jobs(stage.accepted) if job.status.value == "succeeded"}
    for worker in sleepers:
        worker.signal(signal.SIGCONT)
    found = stage.finish()
    stage.all_succeed(found)
    changed = [
        job.id
        for job in found.jobs
        if job.id in before
        and (job.images, job.fence) != (before[job.id].images, before[job.id].fence)
    ]
    stage.must("a stale worker changes no row that has ended", kept=not changed, found=changed[:3])


def rolling_restart(stage: Stage) -> None:
    """Replace every worker three times by SIGTERM, as a deploy does."""
    fleet = stage.make_fleet()
    stage.load()
    workers = fleet.start(2)
    stage.wait_for_load(0.1)
    stage.fault_begins()
    patience_s = stage.scale.shortened(150) + 60
    for _ in range(3):
        for place, old in enumerate(workers):
            [workers[place]] = fleet.start(1)
            old.signal(signal.SIGTERM)
            status = old.wait(patience_s)
            stage.must("a worker leaves with status 0", kept=status == 0, found=status)
        stage.load(stage.scale.concurrency)
    stage.fault_ends()
    stage.recovered()
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    burned = sum(job.attempts - 1 for job in found.jobs)
    stage.must("no attempt is burned", kept=not burned, found=burned)


def _wait_for_long_calls(stage: Stage, worker: WorkerProcess, count: int) -> None:
    """Wait until a worker has so many calls in flight that none of them ends within seconds.

    Only jobs claimed after the simulator has become slow count: others may end at any moment.
    """
    fleet, scale = stage.fleet, stage.scale
    long_s = max(4 * scale.latency_s[1], float(fleet.settings["read_timeout_s"]) / 2)
    stage.ground.simulator.put_latency(long_s)
    before = set(fleet.held_by(worker, "running"))
    stage.load_until(
        lambda: len(set(fleet.held_by(worker, "running")) - before) >= count, "calls in flight"
    )


def _snagged(
    stage: Stage, fleet: Fleet, notes: Path, number: signal.Signals
) -> list[WorkerProcess]:
    """Start a worker for each step; with few calls each, so that all get a share of the load."""
    calls = max(2, stage.scale.concurrency // 8)
    delay_s = stage.scale.latency_s[0] / 2
    return [
        fleet.start_worker(Snag(step, number, notes, delay_s=delay_s), concurrency=calls)
        for step in STEPS
    ]


def _must_not_have_been_called_again(stage: Stage, step: str, job: Job) -> None:
    kept = job.calls_made == 1 and job.status is JobStatus.SUCCEEDED
    found = f"{job.id} {job.status.value}, {job.calls_made} calls, {job.calls_unknown} unknown"
    stage.must(f"killed when {step}: no second call", kept=kept, found=found)


def _lines(notes: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
