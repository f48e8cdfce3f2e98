"""Find free loopback ports, and check whether one is free."""

import random
import socket

LOOPBACK = "127.0.0.1"
LAST_PORT = 65_535

_FIRST, _LAST = 10_240, 32_767
"""Below Linux's usual range for outgoing connections (32768-60999): none of those can take the port
of a server that is just being restarted.
"""

_TRIES = 200


def is_free(port: int) -> bool:
    """Return whether a server could listen on this loopback port now."""
    with socket.socket() as probe:
        # as servers do: ignore TIME_WAIT
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Find a loopback port on which nothing listens.

    Raises:
        OSError: None of many tried ports is free.
    """
    for _ in range(_TRIES):
        port = random.SystemRandom().randint(_FIRST, _LAST)
        if is_free(port):
            return port
    raise OSError("no free loopback port found")
