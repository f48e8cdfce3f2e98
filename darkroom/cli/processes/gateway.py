"""`darkroom gateway`: accept jobs over HTTP, as a separate process."""

from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common.output import note
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from socket import socket

    from darkroom.settings import Settings
    from darkroom.wiring.factory import Wiring

__all__ = ["gateway"]


def gateway(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; DARKROOM_GATEWAY_HOST otherwise.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port; DARKROOM_GATEWAY_PORT otherwise, 0 a free one.")
    ] = None,
    inherited: Annotated[str | None, typer.Option(hidden=True)] = None,
) -> None:
    """Serve jobs over HTTP until it is stopped.

    Without any API key it listens on this machine only, and every local user may submit jobs.
    `darkroom keys create` creates the first key. DARKROOM_GATEWAY_PROCESSES sets the number of
    processes.

    Example: darkroom gateway --port 8080
    """
    _check_parts()
    from darkroom.logs import configure_logs
    from darkroom.settings import load_settings

    settings = load_settings(gateway_host=host, gateway_port=port)
    configure_logs(settings.log_level, settings.log_format)
    if inherited is not None:
        _serve_as_child(settings, inherited)
    elif settings.gateway_processes > 1:
        _run_processes(settings)
    else:
        _serve_alone(settings)


def _serve_alone(settings: "Settings") -> None:
    from darkroom.cli.common.context import check_tables
    from darkroom.wiring.gateway import GatewayWiring
    from gateway.listener import raise_file_limit
    from gateway.server import Server

    wiring = GatewayWiring(settings)
    check_tables(wiring)
    _check_keys(wiring)
    server = Server(wiring.gateway)
    raise_file_limit()
    with _listener(settings) as listener:
        _note_address(listener)
        server.run([listener])


def _run_processes(settings: "Settings") -> None:
    """Start the processes and keep them running; this one loads nothing that only serving needs."""
    import sys

    from darkroom.cli.common.context import check_tables
    from darkroom.settings import variable
    from darkroom.wiring.factory import Wiring
    from gateway.listener import raise_file_limit
    from gateway.processes import GatewayProcesses

    wiring, count = Wiring(settings), settings.gateway_processes
    if wiring.database.is_sqlite:
        given = f"{variable('gateway_processes')}={count}"
        raise UserError(f"{given}: a gateway over SQLite has 1 process; more need PostgreSQL")
    check_tables(wiring)
    _check_keys(wiring)
    wiring.database.close()
    raise_file_limit()
    command = [sys.executable, "-P", "-m", "darkroom", "gateway"]
    # What the environment holds instead may be invalid, and is not read.
    command += ["--host", settings.gateway_host, "--port", str(settings.gateway_port)]
    command.append("--inherited")
    with _listener(settings) as listener:
        processes = GatewayProcesses(command, count=count, listener=listener)
        status = processes.run(lambda: _note_address(listener))
    if status < 0:
        raise UserError(f"a gateway process was killed by signal {-status} before it served")
    if status:  # it has said why
        raise typer.Exit(status)


def _serve_as_child(settings: "Settings", inherited: str) -> None:
    """Serve as one of several processes; their parent has checked tables and keys."""
    from darkroom.wiring.gateway import GatewayWiring
    from gateway.child_process import serve_as_child
    from gateway.processes import Inherited

    try:
        descriptors = Inherited.read(inherited)
    except ValueError:
        raise UserError("--inherited is set by `darkroom gateway` itself", exit_status=2) from None
    serve_as_child(GatewayWiring(settings).gateway, descriptors)


def _note_address(listener: "socket") -> None:
    address, number = listener.getsockname()[:2]
    shown = f"[{address}]" if ":" in address else address
    note(f"gateway listening on http://{shown}:{number}")


def _check_parts() -> None:
    """Check that the libraries that only a gateway needs are installed.

    Raises:
        UserError: they are not installed.
    """
    from importlib.util import find_spec

    missing = [
        name for name in ("fastapi", "uvicorn", "httptools", "limits") if not find_spec(name)
    ]
    if missing:
        parts = ", ".join(missing)
        raise UserError(f"the gateway needs {parts}: install darkroom-queue[gateway]")


def _check_keys(wiring: "Wiring") -> None:
    """Refuse to listen to other machines while there is no API key."""
    from darkroom.settings import variable
    from gateway.auth.loopback import is_loopback
    from storage.owners.api_keys import any_keys

    host = wiring.settings.gateway_host
    if any_keys(wiring.database):
        return
    if not is_loopback(host):
        raise UserError(
            f"{variable('gateway_host')}={host}: there is no API key yet, so only this machine may "
            "reach the gateway; make one with `darkroom keys create --owner NAME`"
        )
    note("no API key exists: any process on this machine may submit jobs, and no other machine")


def _listener(settings: "Settings") -> "socket":
    from darkroom.settings import variable
    from gateway.listener import listen

    host, port = settings.gateway_host, settings.gateway_port
    try:
        return listen(host, port)
    except (OSError, UnicodeError) as error:
        names = f"{variable('gateway_host')}={host}, {variable('gateway_port')}={port}"
        raise UserError(f"{names}: {error}") from error
