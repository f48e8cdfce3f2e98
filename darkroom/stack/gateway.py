"""The way in over HTTP, on this machine alone: one gateway process, in front of the workers."""

from collections.abc import Mapping

from darkroom.stack.folder import DataFolder
from darkroom.stack.http import answers_http
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.process import Program

_READY_WITHIN_S = 60.0
"""Its libraries take seconds to load where workers load theirs at the same moment."""

_STOP_WITHIN_S = 20.0
"""More than it gives the requests that are under way."""


def gateway_url(port: int) -> str:
    """Return the address that callers are given."""
    return f"http://{LOOPBACK}:{port}"


def gateway(
    plan: StackPlan, folder: DataFolder, port: int, environment: Mapping[str, str]
) -> Program:
    """Describe the gateway's process; it wants the table migrated.

    What it puts on disk of a batch that is being handed in lies in the data folder: the machine's
    own place for temporary files may be its memory.

    Raises:
        UserError: Its folder can't be made.
    """
    argv = [*plan.gateway_command, "--host", LOOPBACK, "--port", str(port)]
    return Program(
        name="gateway",
        argv=argv,
        env={**environment, "TMPDIR": str(folder.subfolder("gateway"))},
        log=folder.log_file("gateway"),
        cwd=None,  # where we are: the same `.env` is read
        answers=lambda: answers_http(port, "/readyz"),
        ready_within_s=_READY_WITHIN_S,
        stop_within_s=_STOP_WITHIN_S,
    )
