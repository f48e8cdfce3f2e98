"""Build what pauses a worker or the fleet: circuit breaker, worker pause and fleet sync."""

from collections.abc import Callable
from dataclasses import dataclass

from darkroom.wiring.factory import Wiring
from tasks.rate_limit.protocol import BudgetLimits
from tasks.throttling.call_gate import CallGate
from tasks.throttling.circuit_breaker import CircuitBreaker
from tasks.throttling.fleet_sync import FleetSync, SyncIntervals
from tasks.throttling.storage_pause import StoragePause
from tasks.throttling.worker_pause import WorkerPause
from tasks.throttling.worker_state import PauseTimes
from workers.consumer_control import ConsumerControl

__all__ = ["Pauses", "budget_limits", "make_pauses"]


@dataclass(frozen=True, slots=True)
class Pauses:
    """The parts of one worker that begin and end pauses.

    Attributes:
        worker: the pause of this worker.
        breaker: counts consecutive failures.
        fleet: keeps the worker in step with the fleet's row.
    """

    worker: WorkerPause
    breaker: CircuitBreaker
    fleet: FleetSync


def make_pauses(
    wiring: Wiring,
    gate: CallGate,
    flow: ConsumerControl,
    *,
    storage_pause: StoragePause,
    is_clear: Callable[[], bool],
    take_job: Callable[[], bool],
) -> Pauses:
    """Build the parts; none of them runs yet.

    Args:
        wiring: settings and the results table.
        gate: the call gate of the worker.
        flow: whether the worker consumes dispatches.
        storage_pause: pauses the fleet while images cannot be stored.
        is_clear: whether the worker has nothing to store and space for calls.
        take_job: gives the worker one due job, if there is one.
    """
    settings = wiring.settings
    worker = WorkerPause(
        wiring.database,
        worker_id=wiring.worker_id,
        gate=gate,
        dispatches=flow,
        take_job=take_job,
        times=_times(wiring),
    )
    intervals = SyncIntervals(
        every_s=settings.fleet_look_s,
        probe_first_s=settings.probe_first_s,
        probe_most_s=settings.probe_most_s,
    )
    fleet = FleetSync(
        wiring.database,
        gate=gate,
        worker_pause=worker,
        storage_pause=storage_pause,
        intervals=intervals,
        is_clear=is_clear,
    )
    breaker = CircuitBreaker(
        worker, failures=settings.breaker_failures, blocked=settings.blocked_failures
    )
    return Pauses(worker, breaker, fleet)


def budget_limits(wiring: Wiring) -> BudgetLimits:
    """Return the whole fleet's limits on calls."""
    settings = wiring.settings
    return BudgetLimits(settings.max_calls_per_second, settings.max_calls_in_flight)


def _times(wiring: Wiring) -> PauseTimes:
    settings = wiring.settings
    divides = settings.limits_redis is None and not budget_limits(wiring).are_none
    return PauseTimes(
        window_s=settings.evidence_window_s,
        report_s=settings.heartbeat_s,
        share_wait_s=settings.heartbeat_s if divides else 0.0,
        probe_first_s=settings.probe_first_s,
        probe_most_s=settings.probe_most_s,
    )
