"""Describe the gateway's process: HTTP on this machine only, in front of the workers."""

from collections.abc import Mapping

from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.programs.http import answers_http
from darkroom.stack.supervision.process import Program

_READY_WITHIN_S = 60.0
"""Its libraries take seconds to load if workers load theirs at the same time."""

_STOP_WITHIN_S = 20.0
"""Longer than the gateway gives requests that are under way."""


def gateway_url(port: int) -> str:
    """Return the gateway's address for callers."""
    return f"http://{LOOPBACK}:{port}"


def gateway(
    plan: StackPlan, folder: DataFolder, port: int, environment: Mapping[str, str]
) -> Program:
    """Describe the gateway's process; the table must be migrated.

    Files of a batch that is being submitted are in the data folder, because the machine's temporary
    folder may be in memory.

    Raises:
        UserError: Its folder can't be created.
    """
    argv = [*plan.gateway_command, "--host", LOOPBACK, "--port", str(port)]
    return Program(
        name="gateway",
        argv=argv,
        env={**environment, "TMPDIR": str(folder.subfolder("gateway"))},
        log=folder.log_file("gateway"),
        cwd=None,  # the current folder: it reads the same `.env`
        answers=lambda: answers_http(port, "/readyz"),
        ready_within_s=_READY_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
    )
