"""One attempt at delivering a webhook: signed, posted to a checked address, and its answer noted.

The connection is made here, to an address that the guard has checked, and handed to `http.client`
open. That module neither looks names up again nor follows redirects, knows no proxies, cookies or
`~/.netrc`, and logs nothing (libraries above it do some of that, or log the address, whose query
may be a secret). When an attempt is made, and what follows it, is for schedule and delivery loop.
"""

import http.client
import logging
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from http1 import FinalResponse
from tasks.errors import ReceiverNotFound, ReceiverRefused
from tasks.webhooks.addresses import AddressGuard, Target
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.retry_after import retry_after_s
from tasks.webhooks.signature import signed_headers
from tasks.webhooks.timed_socket import (
    TimedSocket,
    TimedTLSSocket,
    connect,
    seconds_left,
    with_tls,
)

_log: Final = logging.getLogger(__name__)

#: The specification recommends "somewhere between 15 and 30s" for a request.
TOTAL_TIMEOUT_S: Final = 20.0
#: One address of several may be dead; the others get their turn in the same attempt.
CONNECT_TIMEOUT_S: Final = 5.0
#: As much of an answer as its sender needs to recognise it in the delivery log.
FIRST_BYTES: Final = 1024

# What `http.client`, ssl and sockets raise on purpose; ValueError is there for host names that only
# the TLS handshake finds impossible.
FOREIGN: Final = (http.client.HTTPException, OSError, ValueError)

# The first row that matches wins: `RemoteDisconnected` is a ConnectionError and an HTTPException.
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
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    retry_after_s: float | None
    first_bytes: bytes


class Sender:
    """Posts webhooks. Thread-safe; it keeps no connection.

    Args:
        guard: says which addresses may be called.
        total_timeout_s: for one attempt, from the name's lookup to the last byte read.
        connect_timeout_s: for each of the receiver's addresses.
        ca_bundle: path of a PEM file with the authorities to trust, or None for the usual ones.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        total_timeout_s: float = TOTAL_TIMEOUT_S,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        ca_bundle: str | None = None,
    ) -> None:
        self._guard: Final = guard
        self._total_timeout_s: Final = total_timeout_s
        self._connect_timeout_s: Final = connect_timeout_s
        self._trusted: Final = None if ca_bundle is None else _trusting(ca_bundle)

    def send(
        self, url: str, *, message_id: str, body: bytes, signing_secrets: Sequence[str]
    ) -> Outcome:
        """Make one attempt, and say what became of it, whatever the receiver does.

        Args:
            url: the receiver's address as it was handed in; it is checked anew each time.
            message_id: the same for every attempt at one message.
            body: JSON.
            signing_secrets: the secrets to sign with: one, or old and new while they change.

        Raises:
            SecretUnusable: one of the secrets is none.
            ValueError: there is no secret, or the id can't be one.
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
    ) -> _Answer | Failure:
        try:
            target = self._guard.target_of(url, timeout_s=seconds_left(deadline))
            return self._post(target, signature, body, deadline=deadline)
        except ReceiverRefused as refused:
            # The receiver's owner is told the code alone: how our network looks is none of theirs.
            _log.warning("webhook %s is not sent: %s", signature["webhook-id"], refused)
            return Failure.ADDRESS_REFUSED
        except ReceiverNotFound:
            return Failure.DNS_FAILED
        except FOREIGN as error:
            return _failure(error)

    def _post(
        self, target: Target, signature: Mapping[str, str], body: bytes, *, deadline: float
    ) -> _Answer:
        receiver = target.receiver
        conn = http.client.HTTPConnection(receiver.name, receiver.port)
        conn.response_class = FinalResponse  # interim responses are skipped
        conn.auto_open = 0  # it must not dial by itself, whatever happens
        conn.sock = self._connected(target, deadline)
        try:
            headers = {"Host": receiver.host_header, **_HEADERS, **signature}
            conn.request("POST", receiver.path, body, headers)
            with conn.getresponse() as response:
                wait_s = retry_after_s(response.headers)
                return _Answer(response.status, wait_s, _first_bytes(response))
        finally:
            conn.close()

    def _connected(self, target: Target, deadline: float) -> TimedSocket | TimedTLSSocket:
        sock = self._reached(target, deadline)
        if target.receiver.scheme == "http":
            return sock
        return with_tls(sock, self._trusted or _usual_authorities(), target.receiver.name)

    def _reached(self, target: Target, deadline: float) -> TimedSocket:
        """Try the receiver's addresses in turn; the last one's failure is all of theirs."""
        *others, last = map(str, target.addresses)
        for address in others:
            try:
                return self._dialled(address, target, deadline)
            except OSError:
                continue
        return self._dialled(last, target, deadline)

    def _dialled(self, address: str, target: Target, deadline: float) -> TimedSocket:
        return connect(
            address, target.receiver.port, deadline=deadline, timeout_s=self._connect_timeout_s
        )


def _trusting(bundle: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=bundle)
    context.sslsocket_class = TimedTLSSocket
    return context


@cache
def _usual_authorities() -> ssl.SSLContext:
    """Those of a process, loaded for the first receiver that needs them: it takes 23 ms.

    Threads that come first together may each load them; a context may be used by any number.
    """
    return _trusting(DEFAULT_CA_BUNDLE_PATH)


def _first_bytes(response: http.client.HTTPResponse) -> bytes:
    """Read how the body begins; the status stands, so what a broken body withholds is missing."""
    body = b""
    try:
        while len(body) < FIRST_BYTES and (piece := response.read1(FIRST_BYTES - len(body))):
            body += piece
    except FOREIGN:
        pass
    return body


def _failure(error: BaseException) -> Failure:
    for kind, failure in _FAILURES:
        if isinstance(error, kind):
            return failure
    return Failure.NETWORK_FAILED
