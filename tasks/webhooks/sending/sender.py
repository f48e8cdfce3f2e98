"""Post one signed webhook to a checked address, and return the outcome.

The sender connects to an IP address that the guard has checked, and writes the request to it
itself. So no name is resolved again, no redirect is followed, and nothing is logged. It uses no
proxies, cookies or `~/.netrc`. Higher-level libraries do some of this, or log the address, whose
query may contain a secret. Connections are kept for a short time (`kept_connections.py`), and the
answer is read in `answer.py`. The time of attempts is decided in `webhooks/schedule.py`
and `webhooks/loop/`.
"""

import http.client
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from http1.request import request_head
from tasks.errors import ReceiverNotFound, ReceiverRefused
from tasks.webhooks.addresses.address_guard import AddressGuard, Target
from tasks.webhooks.addresses.receiver import Receiver
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.sending.answer import FOREIGN, Answer, read_answer
from tasks.webhooks.sending.kept_connections import Connection, KeptConnections
from tasks.webhooks.sending.signature import signed_headers
from tasks.webhooks.sending.timed_socket import (
    TimedSocket,
    TimedTLSSocket,
    connect,
    seconds_left,
    with_tls,
)

_log: Final = logging.getLogger(__name__)

#: The specification recommends "somewhere between 15 and 30s" for a request.
TOTAL_TIMEOUT_S: Final = 20.0
#: If one IP address of several is unreachable, the same attempt tries the others.
CONNECT_TIMEOUT_S: Final = 5.0

# The first match counts: `RemoteDisconnected` is a ConnectionError and an HTTPException.
_FAILURES: Final[tuple[tuple[type[BaseException], Failure], ...]] = (
    (TimeoutError, Failure.TIMEOUT),
    (ssl.SSLError, Failure.TLS_FAILED),
    (ConnectionRefusedError, Failure.CONNECT_REFUSED),
    (ConnectionError, Failure.CONNECTION_LOST),
    (http.client.HTTPException, Failure.ANSWER_GARBLED),
    (UnicodeError, Failure.TLS_FAILED),
)

_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": "darkroom-queue",
    "Accept": "*/*",
    "Accept-Encoding": "identity",
}


class Sender:
    """Posts webhooks. Thread-safe.

    Args:
        guard: checks the addresses.
        total_timeout_s: the timeout of an attempt, from the name lookup to the last byte read.
        ca_bundle: path of a PEM file with the trusted authorities, or None for the default ones.
        connections: keeps connections between attempts.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        ca_bundle: str | None = None,
        connections: KeptConnections | None = None,
    ) -> None:
        self._guard: Final = guard
        self._total_timeout_s: Final = total_timeout_s
        self._trusted: Final = None if ca_bundle is None else _trusting(ca_bundle)
        self._connections: Final = connections or KeptConnections()

    def close_old_connections(self) -> None:
        """Close connections that were unused for too long; to be called every few seconds."""
        self._connections.close_old()

    def send(
        self, url: str, *, message_id: str, body: bytes, signing_secrets: Sequence[str]
    ) -> Outcome:
        """Make one attempt, and return its outcome, for every behaviour of the receiver.

        Args:
            url: the receiver's address as submitted; it is checked again in each attempt.
            message_id: the message's id, the same in every attempt.
            body: the body, as JSON.
            signing_secrets: the secrets to sign with: one, or the old and the new one in a change.

        Raises:
            SecretUnusable: one of the secrets has an invalid format.
            ValueError: there is no secret, or the id is invalid.
        """
        began = time.monotonic()
        signature = signed_headers(
            signing_secrets, message_id=message_id, timestamp_s=int(time.time()), body=body
        )
        deadline = began + self._total_timeout_s
        answer = self._answer(url, signature, body, deadline=deadline)
        latency_s = time.monotonic() - began
        if isinstance(answer, Failure):
            return Outcome(answer, latency_s)
        return Outcome(answer.status, latency_s, answer.first_bytes, answer.retry_after_s)

    def _answer(
        self, url: str, signature: Mapping[str, str], body: bytes, *, deadline: float
    ) -> Answer | Failure:
        try:
            receiver = self._guard.receiver_of(url)
            return self._post(receiver, _request(receiver, signature, body), deadline)
        except ReceiverRefused as refused:
            # The user sees only the code: the message would disclose the internal network.
            _log.warning("webhook %s is not sent: %s", signature["webhook-id"], refused)
            return Failure.ADDRESS_REFUSED
        except ReceiverNotFound:
            return Failure.DNS_FAILED
        except FOREIGN as error:
            return _failure(error)

    def _post(self, receiver: Receiver, request: bytes, deadline: float) -> Answer:
        kept = self._connections.take(receiver)
        if kept is not None:
            try:
                return self._exchange(kept, request, deadline)
            except TimeoutError:
                raise
            except FOREIGN:
                # A receiver may close an unused connection at any time, also while a request is on
                # its way. If it did read the request, the repeat has the same id.
                if kept.socket.has_received:
                    raise
        return self._exchange(self._opened(receiver, deadline), request, deadline)

    def _exchange(self, connection: Connection, request: bytes, deadline: float) -> Answer:
        sock = connection.socket
        sock.deadline, sock.has_received = deadline, False
        answer = None
        try:
            sock.sendall(request)
            answer = read_answer(sock)
        finally:
            if answer is not None and answer.is_whole:
                self._connections.put(connection)
            else:
                connection.close()
        return answer

    def _opened(self, receiver: Receiver, deadline: float) -> Connection:
        checked_at = self._connections.clock()
        target = self._guard.target_of(receiver, timeout_s=seconds_left(deadline))
        return Connection(self._connected(target, deadline), receiver, checked_at)

    def _connected(self, target: Target, deadline: float) -> TimedSocket | TimedTLSSocket:
        sock = self._reached(target, deadline)
        if target.receiver.scheme == "http":
            return sock
        return with_tls(sock, self._trusted or _usual_authorities(), target.receiver.name)

    def _reached(self, target: Target, deadline: float) -> TimedSocket:
        """Try the receiver's IP addresses in order; raise the error of the last one."""
        *others, last = map(str, target.addresses)
        for address in others:
            try:
                return self._dialled(address, target, deadline)
            except OSError:
                continue
        return self._dialled(last, target, deadline)

    def _dialled(self, address: str, target: Target, deadline: float) -> TimedSocket:
        return connect(
            address, target.receiver.port, deadline=deadline, timeout_s=CONNECT_TIMEOUT_S
        )


def _trusting(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=bundle)
    context.sslsocket_class = TimedTLSSocket
    return context


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Return the TLS context of the process, loaded at its first use, which takes 23 ms.

    Concurrent first threads may each load it; a context may be used by any number of threads.
    """
    return _trusting(DEFAULT_CA_BUNDLE_PATH)


def _request(receiver: Receiver, signature: Mapping[str, str], body: bytes) -> bytes:
    length = {"Content-Length": str(len(body))}
    headers = {"Host": receiver.host_header, **_HEADERS, **length, **signature}
    return request_head("POST", receiver.path, headers) + body


def _failure(error: BaseException) -> Failure:
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return failure
    return Failure.NETWORK_FAILED
