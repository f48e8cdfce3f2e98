"""`darkroom gateway`: accept jobs over HTTP, as a separate process."""

from typing import TYPE_CHECKING, Annotated

import typer

from darkroom.cli.common.output import note
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from socket import socket

    from darkroom.wiring.gateway import GatewayWiring

__all__ = ["gateway"]


def gateway(
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; DARKROOM_GATEWAY_HOST otherwise.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="TCP port; DARKROOM_GATEWAY_PORT otherwise, 0 a free one.")
    ] = None,
) -> None:
    """Serve jobs over HTTP until it is stopped.

    Without any API key it listens on this machine only, and every local user may submit jobs.
    `darkroom keys create` creates the first key.

    Example: darkroom gateway --port 8080
    """
    _check_parts()
    from darkroom.cli.common.context import check_tables
    from darkroom.logs import configure_logs
    from darkroom.settings import load_settings
    from darkroom.wiring.gateway import GatewayWiring
    from gateway.server import Server, raise_file_limit

    wiring = GatewayWiring(load_settings(gateway_host=host, gateway_port=port))
    configure_logs(wiring.settings.log_level, wiring.settings.log_format)
    check_tables(wiring)
    _check_keys(wiring)
    server = Server(wiring.gateway)
    raise_file_limit()
    with _listener(wiring) as listener:
        address, number = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        note(f"gateway listening on http://{shown}:{number}")
        server.run([listener])


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


def _check_keys(wiring: "GatewayWiring") -> None:
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
    note("no API key exists: everybody on this machine may hand in jobs, and nobody else")


def _listener(wiring: "GatewayWiring") -> "socket":
    from darkroom.settings import variable
    from gateway.server import listen

    host, port = wiring.settings.gateway_host, wiring.settings.gateway_port
    try:
        return listen(host, port)
    except (OSError, UnicodeError) as error:
        names = f"{variable('gateway_host')}={host}, {variable('gateway_port')}={port}"
        raise UserError(f"{names}: {error}") from error
