"""Resolve a host name into IP addresses, with a timeout.

The system's resolver is used, so unusual spellings (`0x7f.1`, `017700000001`) are checked as the
system reads them. It has no timeout: a deliberately slow name server would block a delivery thread.
So the lookup runs on a separate thread, which is abandoned after the timeout.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from tasks.errors import ReceiverNotFound

#: Returns every IP address of a host, or raises OSError or UnicodeError.
Resolve = Callable[[str], Sequence[str]]


def resolve(host: str) -> Sequence[str]:
    """Return every IP address of a host from the system's resolver, best first (RFC 6724).

    Raises:
        OSError: the host has no address, or the lookup failed.
        UnicodeError: the name is not a valid host name.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def look_up(resolver: Resolve, host: str, *, timeout_s: float) -> Sequence[str]:
    """Return the IP addresses that a resolver gives within a timeout.

    Raises:
        ReceiverNotFound: the host has no address, or the lookup timed out.
    """
    answer: Future[Sequence[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolver(host))
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            answer.set_exception(error)

    threading.Thread(target=ask, name="webhook-lookup", daemon=True).start()
    try:
        found = answer.result(timeout_s)
    except TimeoutError:
        raise ReceiverNotFound(f"{host}: the name was not resolved in time") from None
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise ReceiverNotFound(f"{host}: no such host")
    return found
