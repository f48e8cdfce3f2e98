"""Run the app under uvicorn: one process that announces its address and stops on a signal."""

import asyncio
import contextlib
import resource
import signal
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from simulator.app import API_PATH
from simulator.wire import OpenProtocol

__all__ = ["serve"]

BACKLOG = 4096  # thousands may connect at once
KEEP_ALIVE_S = 75
STOP_GRACE_S = 1


class _Server(uvicorn.Server):
    """uvicorn's server, with its address announced and exit status 0."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Print the address once it listens."""
        await super().startup(sockets=sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        scheme = "https" if self.config.is_ssl else "http"
        print(f"simulator listening on {scheme}://{host}:{port}{API_PATH}", flush=True)  # noqa: T201 -- the promised line

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Stop on SIGTERM and SIGINT without raising them again afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        yield

    def _stop(self) -> None:
        self.should_exit = True


def _raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(
    app: Starlette,
    *,
    host: str,
    port: int,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        app: What to serve.
        host: Address to listen on.
        port: TCP port; 0 takes a free one.
        tls_cert: PEM file of the certificate to speak TLS with; None speaks plain HTTP.
        tls_key: PEM file of its private key; None finds it in the same file.

    Raises:
        OSError: The address is not available, or the certificate cannot be read.
    """
    _raise_file_limit()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named; otherwise answers wait 40 ms for ACKs.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        app,
        http=OpenProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=STOP_GRACE_S,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
    asyncio.run(_Server(config).serve(sockets=[listener]))
