"""The sender over TLS: the name is proved by the original host, at the address that was checked."""

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from tasks.webhooks.outcome import Failure
from tests.playground.raw_server import Seen, answer, raw_server
from tests.services.absence import absent
from tests.tasks.webhooks.receivers import at, send, sender

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority of one's own for `hooks.test` and 127.0.0.1: key and certificate."""
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("no openssl on the PATH")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    names = ["-addext", "subjectAltName=DNS:hooks.test,IP:127.0.0.1"]
    # Python 3.13 is strict about what an authority may be used for.
    usage = ["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    command = [openssl, *words.split(), *names, *usage, *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def names() -> list[str | None]:
    """Collect the names that clients ask for in their handshakes."""
    return []


@pytest.fixture
def tls(certificate: Path, names: list[str | None]) -> ssl.SSLContext:
    """Speak TLS as a server with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _sock, name, _context: names.append(name)
    return context


def good(conn: socket.socket, _: Seen) -> None:
    """Answer properly."""
    answer(conn, b"thanks")


def test_host_name_and_handshake_are_the_originals_at_the_pinned_address(
    certificate: Path, tls: ssl.SSLContext, names: list[str | None]
) -> None:
    """The name exists in no DNS: the connection went where the guard said, under its own name."""
    with raw_server(good, tls=tls) as server:
        first, second = (sender(at(["127.0.0.1"]), ca_bundle=certificate) for _ in range(2))
        outcome = send(f"https://hooks.test:{server.port}/x", first)
        assert send(f"https://hooks.test.:{server.port}/x", second).status == 200
    assert (outcome.status, outcome.first_bytes) == (200, b"thanks")
    assert names == ["hooks.test"] * 2
    assert {seen.headers["host"] for seen in server.seen} == {f"hooks.test:{server.port}"}


def test_a_kept_connection_needs_no_second_handshake(
    certificate: Path, tls: ssl.SSLContext, names: list[str | None]
) -> None:
    """It is kept for the name that its certificate proved; another name has its own."""
    with raw_server(good, tls=tls) as server:
        by = sender(at(["127.0.0.1"]), ca_bundle=certificate)
        for _ in range(3):
            assert send(f"https://hooks.test:{server.port}/", by).status == 200
        other = send(f"https://other.test:{server.port}/", by)
        assert send(f"http://hooks.test:{server.port}/", by).status is None
    assert names == ["hooks.test", "other.test"]
    assert other.failure is Failure.TLS_FAILED
    assert [seen.connection for seen in server.seen] == [0, 0, 0]


def test_an_answer_in_the_rest_of_a_record_is_not_taken_for_the_next_one(
    certificate: Path, tls: ssl.SSLContext
) -> None:
    """Data that is decrypted and not yet read is not seen on the connection itself."""
    body = b"x" * 12_000
    refusal = b"HTTP/1.1 500 Oops\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)

    def surplus(conn: socket.socket, _: Seen) -> None:
        conn.sendall(refusal + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno")

    with raw_server(surplus, tls=tls) as server:
        by = sender(at(["127.0.0.1"]), ca_bundle=certificate)
        statuses = [send(f"https://hooks.test:{server.port}/", by).status for _ in range(2)]
    assert statuses == [500, 500]
    assert [seen.connection for seen in server.seen] == [0, 1]


def test_a_receiver_named_by_its_ip_address_proves_that(
    certificate: Path, tls: ssl.SSLContext, names: list[str | None]
) -> None:
    """No server name is sent then (RFC 6066, 3), and the certificate must be for the address."""
    with raw_server(good, tls=tls) as server:
        outcome = send(f"https://127.0.0.1:{server.port}/", sender(ca_bundle=certificate))
    assert outcome.status == 200
    assert names == [None]


@pytest.mark.parametrize("host", ["other.test", "hooks.test"])
def test_a_receiver_that_cannot_prove_its_name_gets_nothing(
    host: str, certificate: Path, tls: ssl.SSLContext
) -> None:
    """Another name, or an authority that the sender does not trust."""
    trusted = certificate if host == "other.test" else None
    with raw_server(good, tls=tls) as server:
        by = sender(at(["127.0.0.1"]), ca_bundle=trusted)
        outcome = send(f"https://{host}:{server.port}/", by)
    assert outcome.failure is Failure.TLS_FAILED
    assert not server.seen


def test_a_receiver_that_speaks_no_tls_gets_nothing() -> None:
    """Nothing goes out in clear where `https` was asked for."""

    def mail(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"220 mail.example.com ESMTP\r\n")

    with raw_server(good, greet=mail) as server:
        outcome = send(f"https://127.0.0.1:{server.port}/")
    assert outcome.failure is Failure.TLS_FAILED
    assert not server.seen


@pytest.mark.parametrize("piece", [b"", b"0"])
def test_a_handshake_that_never_ends_is_left_in_time(piece: bytes) -> None:
    """Connected, and then silence, or a byte of the handshake now and then."""

    def slow(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc" if piece else b"")
        for _piece in range(600):
            time.sleep(0.05)
            conn.sendall(piece)

    with raw_server(good, greet=slow) as server:
        outcome = send(f"https://127.0.0.1:{server.port}/", sender(total_s=0.5))
    assert outcome.failure is Failure.TIMEOUT


@pytest.mark.parametrize(
    ("head", "status"),
    [(b"HTTP/1.1 2", None), (b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", 200)],
)
def test_an_encrypted_trickle_is_left_in_time(
    certificate: Path, tls: ssl.SSLContext, head: bytes, status: int | None
) -> None:
    """The deadline holds under the encryption as well."""

    def trickle(conn: socket.socket, _: Seen) -> None:
        conn.sendall(head)
        for _piece in range(900):
            time.sleep(0.05)
            conn.sendall(b"0")

    with raw_server(trickle, tls=tls) as server:
        by = sender(total_s=3.0, ca_bundle=certificate)
        outcome = send(f"https://127.0.0.1:{server.port}/", by)
    assert outcome.status == status
    assert len(outcome.first_bytes) < 900
    assert outcome.latency_s >= 3.0
