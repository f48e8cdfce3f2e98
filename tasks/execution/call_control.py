"""Give out call slots, and hold what decides about them: gate, fleet's budget, circuit breaker."""

from dataclasses import dataclass

from tasks.execution.call_slot import CallSlot
from tasks.rate_limit.limiter import CallBudget
from tasks.throttling.call_gate import CallGate
from tasks.throttling.circuit_breaker import CircuitBreaker

__all__ = ["CallControl"]


@dataclass(frozen=True, slots=True)
class CallControl:
    """Decide when this process may start its next call.

    Attributes:
        gate: admits calls within the process's concurrency and the fleet's state.
        budget: the fleet's limits on calls per second and in flight.
        breaker: learns how calls end, and pauses the worker after failures in a row.
    """

    gate: CallGate
    budget: CallBudget
    breaker: CircuitBreaker

    def next_slot(self) -> CallSlot | None:
        """Wait for the gate and the fleet's budget; return None if no call will start here.

        The gate is checked again when the budget has admitted the call, because the fleet may have
        been paused since.
        """
        while self.gate.wait_until_open():
            permit = self.budget.admit()
            if permit is None:
                return None
            if self.gate.try_enter():
                return CallSlot(self.gate, permit)
            permit.end()
        return None
