"""Finding out which IP addresses a host name has, and not for longer than there is time.

The system's own resolver is asked, so its reading of odd spellings (`0x7f.1`, `017700000001`) is
the one that counts. It has no timeout of its own: a name server that answers slowly on purpose
would hold a delivery thread, so it is asked on a thread that may be left behind.
"""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from tasks.errors import ReceiverNotFound

#: Gives every IP address of a host, or raises OSError or UnicodeError.
Resolve = Callable[[str], Sequence[str]]


def resolve(host: str) -> Sequence[str]:
    """Ask the system for every address of a host, best first (RFC 6724).

    Raises:
        OSError: it has none, or nobody can say.
        UnicodeError: no name of a host looks like that.
    """
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def look_up(resolver: Resolve, host: str, *, timeout_s: float) -> Sequence[str]:
    """Ask a resolver, for a while.

    Raises:
        ReceiverNotFound: it knows no address, or did not answer in time.
    """
    answer: Future[Sequence[str]] = Future()

    def ask() -> None:
        try:
            answer.set_result(resolver(host))
        except BaseException as error:  # noqa: BLE001 - it is raised again by whoever waits
            answer.set_exception(error)

    threading.Thread(target=ask, name="webhook-lookup", daemon=True).start()
    try:
        found = answer.result(timeout_s)
    except TimeoutError:
        raise ReceiverNotFound(f"{host}: nobody said in time where that is") from None
    except (OSError, UnicodeError):
        found = ()
    if not found:
        raise ReceiverNotFound(f"{host}: no such host")
    return found
