"""Sockets that know when their time is over, so that a trickling answer can't hold a thread.

An ordinary timeout bounds the silence between two bytes and begins anew with each. Here every
operation gets what is left until one moment. The paid API's client needs a watchdog for that, as
its connections outlive its calls; a webhook's serves one request, so its socket can do it alone.
"""

import socket
import ssl
import time
from typing import Any, cast


def seconds_left(deadline: float) -> float:
    """Seconds until a moment on the monotonic clock.

    Raises:
        TimeoutError: it has passed.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the webhook's total time is over")
    return left_s


class TimedSocket(socket.socket):
    """A TCP connection with a deadline.

    Attributes:
        deadline: a moment on the monotonic clock.
    """

    deadline: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive, in the time that is left."""
        self.settimeout(seconds_left(self.deadline))
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send everything, in the time that is left."""
        self.settimeout(seconds_left(self.deadline))
        super().sendall(*args, **kwargs)


class TimedTLSSocket(ssl.SSLSocket):
    """The same with TLS, once its handshake is made.

    Attributes:
        deadline: a moment on the monotonic clock.
    """

    deadline: float

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive, in the time that is left."""
        self.settimeout(seconds_left(self.deadline))
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send a piece, in the time that is left; `sendall` is made of these."""
        self.settimeout(seconds_left(self.deadline))
        return super().send(*args, **kwargs)


def connect(host: str, port: int, *, deadline: float, timeout_s: float) -> TimedSocket:
    """Connect to an IP address.

    Raises:
        OSError: no connection came about, or none in time.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = TimedSocket(family, socket.SOCK_STREAM)
    try:
        sock.deadline = deadline
        # Head and body are written apart; without this the body waits for the head's receipt.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(min(timeout_s, seconds_left(deadline)))
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def with_tls(sock: TimedSocket, context: ssl.SSLContext, name: str) -> TimedTLSSocket:
    """Make a connection secret, and have the other side prove its name.

    Args:
        sock: a connection; it is used up, also by a failure.
        context: what is trusted; its `sslsocket_class` is `TimedTLSSocket`.
        name: the host name or IP address that the certificate must be for.

    Raises:
        OSError: the certificate proves nothing, or the handshake failed or took too long.
        ValueError: no certificate could be for that name.
    """
    try:
        sock.settimeout(seconds_left(sock.deadline))
        wrapped = cast("TimedTLSSocket", context.wrap_socket(sock, server_hostname=name))
    except BaseException:
        sock.close()
        raise
    wrapped.deadline = sock.deadline
    return wrapped
