"""Unit tests have no network."""

import socket

import pytest


def test_a_test_that_asks_for_nothing_has_no_sockets() -> None:
    """A plain test that opens a socket fails."""
    with pytest.raises(Warning, match=r"socket\.socket"):
        socket.socket()


@pytest.mark.enable_socket
def test_a_marked_test_has_loopback() -> None:
    """A test marked `enable_socket` may listen and connect on this machine, and nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    with socket.socket() as outside, pytest.raises(Warning, match=r"192\.0\.2\.1"):
        outside.connect(("192.0.2.1", 80))
