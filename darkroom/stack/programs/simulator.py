"""The simulator's process, started if no API key is set."""

import sys

from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.programs.binaries import check_simulator_parts
from darkroom.stack.programs.http import answers_http
from darkroom.stack.supervision.process import Program

API_KEY = "simulated"
"""Not a secret: it only shows that keys are sent and checked."""


def simulator_url(port: int) -> str:
    """Return the simulator's address for the Playground client."""
    return f"http://{LOOPBACK}:{port}/api/models/external/v1"


def simulator(plan: StackPlan, folder: DataFolder, port: int) -> Program:
    """Describe the simulator's process.

    Raises:
        UserError: Its libraries are not installed.
    """
    check_simulator_parts()
    options = plan.simulator
    argv = [sys.executable, "-P", "-m", "simulator", "--port", str(port), "--api-key", API_KEY]
    argv += ["--latency-scale", str(options.latency_scale)]
    if options.latency_range_s is not None:
        argv += ["--latency-range", "{}-{}".format(*options.latency_range_s)]
    if options.canned:
        argv.append("--canned")
    return Program(
        name="simulator",
        argv=argv,
        env=plan.environment,
        log=folder.log_file("simulator"),
        cwd=folder.path,
        answers=lambda: answers_http(port, "/ledger"),
    )
