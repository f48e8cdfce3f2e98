"""`darkroom up`: run the whole system on one machine until it is stopped."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common.output import echo

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.stack import Service

__all__ = ["up"]


def up(
    *,
    data_dir: Annotated[
        Path, typer.Option(help="The one folder for data and logs; kept from run to run.")
    ] = Path("darkroom-data"),
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = 1,
    broker_port: Annotated[int, typer.Option(help="Port of the local Redis; 0: a free one.")] = 0,
    s3_port: Annotated[int, typer.Option(help="Port of the local S3; 0: a free one.")] = 0,
    simulator_port: Annotated[int, typer.Option(help="Port of the simulator; 0: a free one.")] = 0,
    gateway: Annotated[
        bool, typer.Option("--gateway/--no-gateway", help="Take in jobs over HTTP as well.")
    ] = True,
    gateway_port: Annotated[
        int | None,
        typer.Option(help="Port of the gateway; DARKROOM_GATEWAY_PORT if set, else a free one."),
    ] = None,
    latency_scale: Annotated[
        float, typer.Option(min=0, help="Factor on the simulator's 5-15 s a picture.")
    ] = 1.0,
) -> None:
    """Run Redis, S3, the table, workers and a gateway on this machine, supervised.

    Services that the settings name are used instead of started. Without DARKROOM_PLAYGROUND_API_KEY
    the simulator answers: no key, no cost.

    Example: darkroom up --workers 2
    """
    from darkroom.local.kind import prepare_table
    from darkroom.local.plan import plan_from, write_env_file
    from darkroom.settings import load_settings
    from darkroom.stack import LocalStack, SimulatorOptions, stop_on_signals

    ports = {"broker": broker_port, "s3": s3_port, "simulator": simulator_port}
    options = SimulatorOptions(latency_scale=latency_scale)
    settings = load_settings()
    if gateway_port is not None:
        ports["gateway"] = gateway_port
    plan = plan_from(
        settings,
        data_dir,
        workers=workers,
        ports=ports,
        simulator=options,
        with_gateway=gateway,
    )
    prepare = partial(prepare_table, simulated=plan.playground_url is None)
    with (
        stop_on_signals() as stop,
        LocalStack(plan, stop=stop, prepare=prepare, echo=echo) as stack,
    ):
        env_file = write_env_file(data_dir, stack.variables)
        _print_services(stack.services, workers, data_dir)
        _print_next_steps(stack.services, env_file)
        stack.wait()
        echo("", "Stopping: calls under way may end; Ctrl-C again leaves at once.")
    echo(f"Stopped. The data is in {data_dir}.")


def _print_services(services: "Iterable[Service]", workers: int, data_dir: Path) -> None:
    for service in services:
        echo(f"  {service.name:<11} {service.address}  ({service.origin})")
    echo(f"  {'workers':<11} {workers}; logs in {data_dir}/logs")


def _print_next_steps(services: "Iterable[Service]", env_file: Path) -> None:
    from shlex import quote

    echo(
        "",
        "Up. In another terminal:",
        "",
        f"  . {quote(str(env_file))}",
        "  darkroom submit 'a paper fox' --wait",
    )
    for service in services:
        if service.name == "gateway":
            echo(
                "",
                "or, from any language:",
                "",
                f"  curl {service.address}/v1/jobs -H 'Prefer: wait=60' \\",
                """    --json '{"request": {"prompt": "a paper fox"}}'""",
            )
    echo("", "Ctrl-C stops everything; submitted jobs are kept and run at the next start.")
