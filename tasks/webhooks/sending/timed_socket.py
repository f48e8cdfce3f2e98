"""Give sockets a deadline, so that a slow answer cannot block a thread.

An ordinary timeout limits the silence between two bytes, and begins again with each byte. Here the
timeout of every operation is the time left until the deadline. The deadline is that of the attempt
under way; a kept connection gets a new one with each request.
"""

import socket
import ssl
import time
from typing import Any, cast


def seconds_left(deadline: float) -> float:
    """Return the seconds until a deadline on the monotonic clock.

    Raises:
        TimeoutError: the deadline has passed.
    """
    left_s = deadline - time.monotonic()
    if left_s <= 0:
        raise TimeoutError("the webhook's total time is over")
    return left_s


def seconds_from_now(seconds: float) -> float:
    """Return a deadline on the monotonic clock."""
    return time.monotonic() + seconds


class TimedSocket(socket.socket):
    """A TCP connection with a deadline.

    Attributes:
        deadline: the deadline on the monotonic clock.
        has_received: whether data arrived since a caller last cleared it.
    """

    deadline: float
    has_received: bool = False

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive data before the deadline."""
        self.settimeout(seconds_left(self.deadline))
        size = super().recv_into(*args, **kwargs)
        self.has_received |= size > 0
        return size

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        """Send all data before the deadline."""
        self.settimeout(seconds_left(self.deadline))
        super().sendall(*args, **kwargs)


class TimedTLSSocket(ssl.SSLSocket):
    """A TLS connection with a deadline, after its handshake.

    Attributes:
        deadline: the deadline on the monotonic clock.
        has_received: whether data arrived since a caller last cleared it.
    """

    deadline: float
    has_received: bool = False

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        """Receive data before the deadline."""
        self.settimeout(seconds_left(self.deadline))
        size = super().recv_into(*args, **kwargs)
        self.has_received |= size > 0
        return size

    def send(self, *args: Any, **kwargs: Any) -> int:
        """Send a part of the data before the deadline; `sendall` calls this method."""
        self.settimeout(seconds_left(self.deadline))
        return super().send(*args, **kwargs)


def connect(host: str, port: int, *, deadline: float, timeout_s: float) -> TimedSocket:
    """Connect to an IP address.

    Raises:
        OSError: the connection failed or timed out.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = TimedSocket(family, socket.SOCK_STREAM)
    try:
        sock.deadline = deadline
        # A large body is written in several parts; without this, a part may wait for an ACK.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(min(timeout_s, seconds_left(deadline)))
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


def with_tls(sock: TimedSocket, context: ssl.SSLContext, name: str) -> TimedTLSSocket:
    """Return a TLS connection over a TCP connection, and verify the receiver's certificate.

    Args:
        sock: the TCP connection; it cannot be used afterwards, and is closed after a failure.
        context: the trusted authorities; its `sslsocket_class` is `TimedTLSSocket`.
        name: the host name or IP address that the certificate must be for.

    Raises:
        OSError: the certificate is invalid, or the handshake failed or timed out.
        ValueError: the name is invalid in a certificate.
    """
    try:
        sock.settimeout(seconds_left(sock.deadline))
        wrapped = cast("TimedTLSSocket", context.wrap_socket(sock, server_hostname=name))
    except BaseException:
        sock.close()
        raise
    wrapped.deadline = sock.deadline
    return wrapped
