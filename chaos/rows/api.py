"""Faults of the paid API: throttling, errors, damage, outages; each is counted correctly."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from chaos.stage import Stage
from chaos.tally import Tally
from storage.fleet.state import fleet_state
from storage.records.states import EndCode, JobStatus

__all__ = [
    "ApiFault",
    "damaged",
    "errors_500",
    "for_a_while",
    "hangs",
    "no_attempt_burned",
    "outage",
    "resets",
    "throughout",
    "too_fast",
    "trickles",
    "wrong_key",
]

LOOK_S = 2.0

#: A rule of the simulator's faults.
ApiFault = Mapping[str, Any]


def too_fast(stage: Stage) -> None:
    """Answer half of all calls with a 429 and `Retry-After` for a while."""
    storm = [{"kind": "status", "status": 429, "retry_after": "1", "rate": 0.5}]
    for_a_while(stage, storm, matrix_s=40)
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    no_attempt_burned(stage, found)


def errors_500(stage: Stage) -> None:
    """Answer 30 % of all calls with 500, from the first to the last."""
    found = throughout(stage, [{"kind": "status", "status": 500, "rate": 0.3}], max_attempts=30)
    stage.all_succeed(found)
    stage.one_call_each(found)


def resets(stage: Stage) -> None:
    """Reset connections: some before the request was read, some after the work was done."""
    faults = [
        {"kind": "reset_after", "count": 2},
        {"kind": "reset_before", "rate": 0.1},
        {"kind": "reset_after", "rate": 0.1},
    ]
    found = throughout(stage, faults)
    _only_unknown_may_fail(stage, found)


def hangs(stage: Stage) -> None:
    """Leave some calls without an answer."""
    hanging = [{"kind": "hang", "count": 2}, {"kind": "hang", "rate": 0.05}]
    found = throughout(stage, hanging, **_impatient(stage))
    _only_unknown_may_fail(stage, found)


def trickles(stage: Stage) -> None:
    """Send some answers a few bytes at a time, without end."""
    # Two are certain: a share alone may hit no call among a few dozen.
    slowly = [
        {"kind": "trickle", "count": 2, "bytes_per_s": 50.0},
        {"kind": "trickle", "rate": 0.05, "bytes_per_s": 50.0},
    ]
    found = throughout(stage, slowly, **_impatient(stage))
    _only_unknown_may_fail(stage, found)


def damaged(stage: Stage) -> None:
    """Truncate 10 % of the pictures or flip a bit in them."""
    kinds = [{"kind": "truncated_png", "rate": 0.05}, {"kind": "flipped_bit", "rate": 0.05}]
    found = throughout(stage, kinds)
    for job in found.jobs:
        kept = bool(job.images) or job.calls_useless > 1
        stage.must("only what came damaged twice fails", kept=kept, found=job.id)
    useless = sum(job.calls_useless for job in found.jobs)
    delivered = sum(bool(job.images) for job in found.jobs)
    kept = found.charged == delivered + useless
    stage.must("each damaged picture is counted", kept=kept, found=(found.charged, useless))


def wrong_key(stage: Stage) -> None:
    """Refuse the API key for a while."""
    for_a_while(stage, [{"kind": "status", "status": 401, "code": "UNAUTHORIZED"}], matrix_s=60)
    found = stage.finish()
    stage.all_succeed(found)
    stage.one_call_each(found)
    no_attempt_burned(stage, found)


def outage(stage: Stage) -> None:
    """Let nothing listen at the API's address; ten minutes of the matrix are two here."""
    fleet = stage.make_fleet()
    stage.load()
    fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    stage.ground.simulator.kill()
    stage.wait_until(lambda: fleet_state(fleet.database).pause is not None, "a pause of the fleet")
    time.sleep(LOOK_S)  # every worker has probed by then, and the calls it had begun have failed
    waiting = [job for job in fleet.jobs(stage.accepted) if job.status is JobStatus.QUEUED]
    spent = {job.id: job.attempts for job in waiting}
    # Calls that the outage interrupted were sent, so each is an attempt of unknown outcome.
    burned_first = [job.id for job in waiting if job.attempts > job.calls_unknown]
    stage.must(
        "no call that was not sent burns an attempt",
        kept=not burned_first,
        found=f"{len(burned_first)} jobs",
    )
    stage.outage(120)
    stage.ground.simulator.start()
    stage.ground.simulator.put_latency_range(*stage.scale.latency_s)
    stage.fault_ends()
    stage.recovered()
    found = stage.finish()
    stage.all_succeed(found)
    burned = [job.id for job in found.jobs if job.id in spent and job.attempts != spent[job.id] + 1]
    stage.must("a paused fleet burns no attempt", kept=not burned, found=f"{len(burned)} jobs")
    extra = found.charged - len(stage.accepted)
    kept = extra <= found.unknown
    stage.must("calls cut off by the outage are counted as unknown", kept=kept, found=extra)


def throughout(stage: Stage, faults: Sequence[ApiFault], **overrides: object) -> Tally:
    """Play a fault from the first call to the last."""
    fleet = stage.make_fleet(**overrides)
    stage.ground.simulator.put_faults(faults)
    stage.load()
    fleet.start(2)
    return stage.finish()


def for_a_while(stage: Stage, faults: Sequence[ApiFault], *, matrix_s: float) -> float:
    """Play a fault in the middle of the work; return the seconds until the fleet continued."""
    fleet = stage.make_fleet()
    stage.load()
    fleet.start(2)
    stage.wait_for_load()
    stage.fault_begins()
    began = time.monotonic()
    asked_before = stage.ground.simulator.asked()
    stage.ground.simulator.put_faults(faults)
    stage.outage(matrix_s)
    stage.load_until(lambda: stage.ground.simulator.asked() > asked_before, "a call in the outage")
    asked = stage.ground.simulator.asked() - asked_before
    stage.ground.simulator.clear_faults()
    stage.fault_ends()
    stage.note(f"{asked} requests came while it lasted")
    stage.recovered()
    return time.monotonic() - began


def _impatient(stage: Stage) -> dict[str, object]:
    """Return timeouts just above the longest normal call, so that a hang ends soon."""
    deadline_s = stage.scale.latency_s[1] * 2 + 1
    return {"read_timeout_s": deadline_s - 0.5, "call_deadline_s": deadline_s}


def no_attempt_burned(stage: Stage, found: Tally) -> None:
    """Require that an attempt which says nothing about its job was not counted."""
    burned = sum(job.attempts - 1 for job in found.jobs)
    stage.must("no attempt is burned", kept=not burned, found=burned)


def _only_unknown_may_fail(stage: Stage, found: Tally) -> None:
    """Allow failures only of jobs that used up `max_unknown_calls` and say they may be paid for."""
    others = [
        f"{job.id} {job.error}"
        for job in found.failed
        if job.error is None or job.error.code != EndCode.OUTCOME_UNKNOWN.value
    ]
    stage.must("a job fails only as OUTCOME_UNKNOWN", kept=not others, found=others[:3])
    capped = [job.id for job in found.jobs if job.calls_unknown > 2]
    stage.must("unknown calls are capped", kept=not capped, found=capped[:3])
    stage.must("unknown calls are counted", kept=found.unknown > 0, found=found.unknown)
