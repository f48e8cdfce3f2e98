"""Run the whole system on one machine, with only what the installation includes.

`LocalStack(plan)` starts and supervises the processes for `darkroom up` and `darkroom demo`. It
takes plain values and reads no settings; `darkroom/local/` turns settings into a plan.
"""

from darkroom.stack.data.disk import Disk
from darkroom.stack.plan import SimulatorOptions, StackPlan
from darkroom.stack.services import Service
from darkroom.stack.stack import LocalStack
from darkroom.stack.supervision.stop import Stop, stop_on_signals

__all__ = [
    "Disk",
    "LocalStack",
    "Service",
    "SimulatorOptions",
    "StackPlan",
    "Stop",
    "stop_on_signals",
]
