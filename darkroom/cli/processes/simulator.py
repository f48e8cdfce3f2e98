"""`darkroom simulator`: run the stand-in for the paid API as a separate process."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["simulator"]

HOME = Path(__file__).resolve().parents[3]


def simulator(
    *,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.")] = 0,
    api_key: Annotated[
        str | None, typer.Option(help="Answer 401 to calls without this Bearer key.")
    ] = None,
    latency_scale: Annotated[
        float, typer.Option(help="Factor on the usual 5-15 s; 0 answers at once.")
    ] = 1.0,
    latency_range: Annotated[
        str | None,
        typer.Option(metavar="LOW-HIGH", help="Seconds a call takes, such as 1-3."),
    ] = None,
    canned: Annotated[
        bool, typer.Option("--canned", help="Hand out one prepared picture of 1.5 MB.")
    ] = False,
    ledger: Annotated[
        Path | None, typer.Option(help="Keep the charged calls in this file.")
    ] = None,
    faults: Annotated[
        Path | None, typer.Option(help="JSON list of fault rules to start with.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(help="Speak TLS with this certificate (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="Its private key, if in a file of its own.")
    ] = None,
) -> None:
    """Run the simulator: the paid API's stand-in, which costs nothing.

    It prints its address when it listens; set DARKROOM_PLAYGROUND_URL to it.

    Example: darkroom simulator --port 8100 --latency-scale 0.1
    """
    from darkroom.stack.programs.binaries import check_simulator_parts

    check_simulator_parts()
    given = {
        "--api-key": api_key,
        "--latency-range": latency_range,
        "--ledger": ledger,
        "--faults": faults,
        "--tls-cert": tls_cert,
        "--tls-key": tls_key,
    }
    words = ["--host", host, "--port", str(port), "--latency-scale", str(latency_scale)]
    words += [f"{name}={value}" for name, value in given.items() if value is not None]
    words += ["--canned"] if canned else []
    _become(["-m", "simulator", *words])


def _become(arguments: list[str]) -> None:
    """Replace this process by another Python program with Darkroom's packages on its import path.

    `-P` keeps the current folder off that path.
    """
    places = os.pathsep.join([str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": places}
    argv = [sys.executable, "-P", *arguments]
    os.execve(sys.executable, argv, environment)  # noqa: S606 - fixed arguments, no shell
