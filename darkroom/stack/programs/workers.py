"""Describe the worker processes, which get all addresses from their environment."""

from collections.abc import Mapping

from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.supervision.process import Program

_BEYOND_DRAIN_S = 10.0


def workers(plan: StackPlan, folder: DataFolder, environment: Mapping[str, str]) -> list[Program]:
    """Describe the planned number of workers."""
    return [
        Program(
            name=name,
            argv=plan.worker_command,
            env=environment,
            log=folder.log_file(name),
            cwd=None,  # the current folder: they read the same `.env`
            stop_within_s=plan.drain_s + _BEYOND_DRAIN_S,
        )
        for name in (f"worker-{number}" for number in range(1, plan.workers + 1))
    ]
