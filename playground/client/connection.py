"""Extend urllib3's connections and pools by four functions that a paid call needs.

A connection reports to its call's clock which socket it uses. So a deadline can cut the socket even
while the call waits for headers. It also reports when the last byte of the request was written,
which decides whether the call may have cost money. A pool drops connections that were idle for
longer than servers usually keep them, because a request written into a closing connection has an
unknown outcome. Interim responses (1xx) before the API's final response are skipped.
"""

import socket
import threading
import time
from collections.abc import Iterable
from typing import Any, Final

import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from http1 import FinalResponse, send_request
from playground.client.deadline import CallClock

# Calls that start together end together. A response that waits to be read occupies the kernel's
# memory: all of its two megabytes on a connection whose buffer grew with earlier responses. With a
# thousand of them TCP exceeded the limit for all sockets (`tcp_mem`) and dropped packets, and the
# senders retransmitted after seconds. Linux takes up to twice this value for its bookkeeping, and
# grants no more than `net.core.rmem_max`.
RECEIVE_BUFFER_BYTES: Final = 262_144

# TCP keepalive detects a peer that vanished without closing, while a call waits.
SOCKET_OPTIONS: Final[list[tuple[int, int, int | bytes]]] = [
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))
        if hasattr(socket, name)  # macOS has no TCP_KEEPIDLE
    ),
]


class _CurrentCall(threading.local):
    """The call that this thread is making: urllib3 has no argument to pass it through."""

    clock: CallClock | None = None


current_call: Final = _CurrentCall()


class _CallResponse(FinalResponse):
    """The API's response, whose call's clock limits all of it; a 102 may signal progress."""

    renews_timeout = True


class _Watched(HTTPConnection):
    """Report the socket and the end of sending to the call's clock."""

    response_class = _CallResponse
    clock: CallClock | None = None
    idle_since: float | None = None

    def _new_conn(self) -> socket.socket:
        sock = super()._new_conn()
        try:
            self.watch(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)  # TLS wrapped it

    def request(self, *args: Any, **kwargs: Any) -> None:
        if self.sock is None:
            self.connect()
        self.watch(self.sock)
        if self.clock is not None:
            # The call's deadline limits sending, not the connect timeout: an initial image may be
            # large.
            self.timeout = self.clock.remaining_s()
        super().request(*args, **kwargs)
        if self.clock is not None:
            self.clock.sent = True

    def watch(self, sock: Any) -> None:
        """Report to the clock which socket is used."""
        if self.clock is not None:
            self.clock.watch(sock)


def send_watched(connection: _Watched, head: bytes, pieces: Iterable[bytes | memoryview]) -> None:
    """Send a request over an open connection, as its `request` does."""
    clock = connection.clock
    connection.watch(connection.sock)
    if clock is not None:
        connection.sock.settimeout(clock.remaining_s())
    if send_request(connection, head, pieces) and clock is not None:
        clock.sent = True


class _WatchedHTTPConnection(_Watched):
    pass


class _WatchedHTTPSConnection(_Watched, HTTPSConnection):
    pass


class _FreshPool(HTTPConnectionPool):
    """Assign connections to calls, and drop those that were idle for too long."""

    ConnectionCls: Any = _WatchedHTTPConnection
    idle_timeout_s: float = 15.0

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn: Any = super()._get_conn(timeout)
        stale = conn.idle_since is not None and (
            time.monotonic() - conn.idle_since > self.idle_timeout_s
        )
        if stale:
            conn.close()
        conn.clock = current_call.clock
        return conn

    def _put_conn(self, conn: Any) -> None:
        if conn is not None and conn.clock is not None:
            if not conn.clock.detach():
                conn.close()
            conn.clock = None
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class _FreshTLSPool(_FreshPool, HTTPSConnectionPool):
    ConnectionCls = _WatchedHTTPSConnection


class CallAdapter(HTTPAdapter):
    """A `requests` adapter over those pools, without retries.

    Args:
        pool_size: kept-alive connections; more are opened when more calls are in flight.
        idle_timeout_s: seconds after which an idle connection is not used again.
    """

    def __init__(self, *, pool_size: int, idle_timeout_s: float) -> None:
        self._pools: Final = {
            "http": type("FreshPool", (_FreshPool,), {"idle_timeout_s": idle_timeout_s}),
            "https": type("FreshTLSPool", (_FreshTLSPool,), {"idle_timeout_s": idle_timeout_s}),
        }
        super().__init__(
            pool_connections=2, pool_maxsize=pool_size, max_retries=0, pool_block=False
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, socket_options=SOCKET_OPTIONS, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> urllib3.ProxyManager:
        """Make the pools of connections through a proxy."""
        manager: urllib3.ProxyManager = super().proxy_manager_for(
            proxy, socket_options=SOCKET_OPTIONS, **kwargs
        )
        manager.pool_classes_by_scheme = self._pools
        return manager

    def close(self) -> None:
        """Close the idle connections now; urllib3 alone would wait for the garbage collector."""
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118 - iterating it is not allowed, for threads' sake
                if (pool := manager.pools.get(key)) is not None:
                    pool.close()
        super().close()
