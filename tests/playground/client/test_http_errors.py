"""Foreign exceptions become those of Darkroom, and none is missed."""

import http.client
import inspect
import socket
import ssl
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
import requests.exceptions
import urllib3.exceptions

from playground.client.deadline import CallClock
from playground.client.http_errors import FOREIGN, call_failed
from playground.errors import CallFailed, NotSent, OutcomeUnknown

# Warnings are reported by `warnings`, not raised.
WARNINGS = (Warning,)


def classes_of(module: ModuleType) -> Iterator[type[BaseException]]:
    """List the exception classes that a module shows."""
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, Exception) and not issubclass(value, WARNINGS):
            yield value


def instance_of(kind: type[BaseException]) -> BaseException:
    """Make an exception whatever its constructor wants."""
    error: Any = kind.__new__(kind)
    error.args = ("Authorization: Bearer sk-secret",)
    return error  # type: ignore[no-any-return]


def name_of(kind: type[BaseException]) -> str:
    """Name a class with its module."""
    return f"{kind.__module__}.{kind.__name__}"


FOREIGN_CLASSES = sorted(
    {
        *classes_of(requests.exceptions),
        *classes_of(urllib3.exceptions),
        *classes_of(http.client),
        ssl.SSLError,
        ssl.SSLEOFError,
        ssl.SSLZeroReturnError,
        ssl.CertificateError,
        socket.gaierror,
        socket.herror,
        TimeoutError,
        ConnectionResetError,
        BrokenPipeError,
        OSError,
        UnicodeError,
    },
    key=name_of,
)


@pytest.mark.parametrize(
    "kind", FOREIGN_CLASSES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
@pytest.mark.parametrize("sent", [False, True])
def test_every_foreign_exception_becomes_ours(kind: type[BaseException], *, sent: bool) -> None:
    """It is caught at the seam, judged by whether the request was sent, and quotes nothing."""
    clock = CallClock(1)
    clock.sent = sent
    assert issubclass(kind, FOREIGN)
    failed = call_failed(instance_of(kind), clock, "api.invalid:443")
    assert type(failed) is (OutcomeUnknown if sent else NotSent)
    assert failed.code.isupper()
    assert failed.message.startswith("api.invalid:443: ")
    assert "sk-secret" not in f"{failed!s}{failed!r}"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (socket.gaierror(-2, "no"), "DNS_FAILED"),
        (ConnectionRefusedError(111, "no"), "CONNECT_REFUSED"),
        (requests.exceptions.ConnectTimeout(), "CONNECT_TIMEOUT"),
        (requests.exceptions.ReadTimeout(), "READ_TIMEOUT"),
        (requests.exceptions.SSLError(), "TLS_FAILED"),
        (requests.exceptions.ProxyError(), "PROXY_FAILED"),
        (requests.exceptions.InvalidURL(), "ADDRESS_INVALID"),
        (ConnectionResetError(104, "no"), "CONNECTION_LOST"),
        (http.client.IncompleteRead(b"", 5), "ANSWER_CUT_SHORT"),
        (http.client.BadStatusLine("x"), "ANSWER_GARBLED"),
        (OSError(113, "no"), "NETWORK_FAILED"),
    ],
)
def test_the_kind_is_found_however_deep_it_is_wrapped(error: Exception, code: str) -> None:
    """The code is the same for the exception itself and for one wrapped around it."""
    wrapped = requests.exceptions.ConnectionError(
        urllib3.exceptions.ProtocolError("Connection aborted.", error)
    )
    for told in (error, wrapped):
        assert call_failed(told, CallClock(1), "x").code == code


def test_the_systems_own_words_are_kept() -> None:
    """`Connection refused` helps a person, and is no secret."""
    told: CallFailed = call_failed(ConnectionRefusedError(111, "secret"), CallClock(1), "x")
    assert "Connection refused" in told.message
    assert "secret" not in told.message


def test_an_exception_that_contains_itself_is_no_trap() -> None:
    """A circle of causes ends."""
    error = OSError("x")
    error.args = (error,)
    assert call_failed(error, CallClock(1), "x").code == "NETWORK_FAILED"
