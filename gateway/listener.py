"""Open the listening socket of a gateway, and raise the limit of open files."""

import resource
import socket

__all__ = ["BACKLOG", "listen", "raise_file_limit"]

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Open the socket, so that an unusable address is reported before anything starts.

    Args:
        host: an address of this machine.
        port: 0 uses a free one.

    Raises:
        OSError: the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only if the protocol is named; otherwise responses wait 40 ms for
    # ACKs.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)  # so that a client that reads the address can connect at once
    except OSError:
        listener.close()
        raise
    return listener


def raise_file_limit() -> None:
    """Raise the limit of open files as far as the machine allows; the usual soft limit is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
