"""The whole system on one machine, from nothing but what the installation brought.

`LocalStack(plan)` is what `darkroom up` and `darkroom demo` run in. It takes plain values and reads
no settings.
"""

from darkroom.stack.disk import Disk
from darkroom.stack.plan import SimulatorOptions, StackPlan
from darkroom.stack.services import Service
from darkroom.stack.stack import LocalStack
from darkroom.stack.stop import Stop, stop_on_signals

__all__ = [
    "Disk",
    "LocalStack",
    "Service",
    "SimulatorOptions",
    "StackPlan",
    "Stop",
    "stop_on_signals",
]
