"""Translate the foreign exceptions of a call into this package's errors, in this one place.

One fact alone decides whether a call may have cost money: whether the whole request was sent. The
exception only provides the code and the sentence. The sentence is written here, never taken from
the exception: foreign messages may quote headers, proxies with passwords, or bodies.
"""

import errno
import http.client
import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import requests
import urllib3.exceptions as u3

from playground.client.deadline import CallClock, DeadlinePassed
from playground.errors import CallFailed, NotSent, OutcomeUnknown

# Everything that `requests`, urllib3, http.client, ssl and sockets raise on purpose. ValueError is
# included for addresses and header values that only the sending code finds invalid.
FOREIGN: Final = (
    requests.RequestException,
    u3.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)

_Kind = tuple[tuple[type[BaseException], ...], str, str]

# Most specific first: the first row that matches any link of an exception's chain wins.
_KINDS: Final[tuple[_Kind, ...]] = (
    ((DeadlinePassed,), "CALL_DEADLINE", "the call's total deadline passed"),
    ((requests.exceptions.ProxyError, u3.ProxyError), "PROXY_FAILED", "the proxy failed"),
    ((socket.gaierror, u3.NameResolutionError), "DNS_FAILED", "the host name was not found"),
    (
        (ssl.SSLError, ssl.CertificateError, u3.SSLError, requests.exceptions.SSLError),
        "TLS_FAILED",
        "no secure connection (TLS) could be made or kept",
    ),
    ((ConnectionRefusedError,), "CONNECT_REFUSED", "the connection was refused"),
    (
        (requests.exceptions.ConnectTimeout, u3.ConnectTimeoutError),
        "CONNECT_TIMEOUT",
        "no connection came about in time",
    ),
    ((u3.NewConnectionError,), "CONNECT_FAILED", "no connection came about"),
    (
        (requests.exceptions.ReadTimeout, u3.ReadTimeoutError),
        "READ_TIMEOUT",
        "nothing came for longer than the read timeout",
    ),
    (
        (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidHeader,
            u3.LocationValueError,
        ),
        "ADDRESS_INVALID",
        "the API's address, the proxy's or a header can't be used",
    ),
    ((TimeoutError,), "TIMEOUT", "the network took too long"),
    (
        (ConnectionError, http.client.RemoteDisconnected),
        "CONNECTION_LOST",
        "the connection was closed by the other side",
    ),
    (
        (http.client.IncompleteRead, u3.IncompleteRead),
        "ANSWER_CUT_SHORT",
        "the answer was cut short",
    ),
    (
        (http.client.HTTPException, u3.DecodeError),
        "ANSWER_GARBLED",
        "what came back is not a valid HTTP response",
    ),
)
_REST: Final = ("NETWORK_FAILED", "the network failed")
_MAX_LINKS: Final = 20


def call_failed(error: BaseException, clock: CallClock, address: str) -> CallFailed:
    """Return the error for a failed call.

    Args:
        error: what `requests` or a library under it raised.
        clock: the call's, which records whether the request was sent and whether it was cut.
        address: host and port, for the sentence.

    Returns:
        `NotSent` if the last byte was never written, else `OutcomeUnknown`.
    """
    links = list(_links(error))
    code, sentence = _kind_of(links)
    if clock.expired:
        code, sentence = "CALL_DEADLINE", "the call's total deadline passed"
    message = f"{address}: {sentence}{_system_words(links)}"
    return OutcomeUnknown(code, message) if clock.sent else NotSent(code, message)


def _kind_of(links: list[BaseException]) -> tuple[str, str]:
    for classes, code, sentence in _KINDS:
        if any(isinstance(link, classes) for link in links):
            return code, sentence
    return _REST


def _system_words(links: list[BaseException]) -> str:
    """Return the operating system's own message, the only foreign text that is safe to quote."""
    for link in links:
        number = link.errno if isinstance(link, OSError) else None
        if isinstance(number, int) and number in errno.errorcode:
            return f" ({os.strerror(number)})"
    return ""


def _links(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception, those among its arguments or its reason, and its causes."""
    queue: list[object] = [error]
    seen: set[int] = set()
    while queue and len(seen) < _MAX_LINKS:
        link = queue.pop(0)
        if not isinstance(link, BaseException) or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        queue += [*link.args, getattr(link, "reason", None), link.__cause__, link.__context__]
