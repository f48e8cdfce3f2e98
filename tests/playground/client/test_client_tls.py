"""The client over TLS, which is how the real API is called."""

import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from playground.answers.judge import judge
from playground.answers.verdict import Answer, Meaning
from playground.client.client import ClientSettings, PlaygroundClient
from playground.errors import NotSent, OutcomeUnknown
from tests.playground.pictures import base64_of, picture
from tests.playground.raw_server import Seen, json_answer, raw_server
from tests.services.absence import absent

pytestmark = pytest.mark.enable_socket


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make an authority of one's own for 127.0.0.1: key and certificate in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("no openssl on the PATH")
    folder = tmp_path_factory.mktemp("tls")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    command = [openssl, *words.split(), *files]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "cert.pem").read_text())
    return both


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """Speak TLS as a server with that certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


def client_for(url: str, ca_bundle: Path | None, total_timeout_s: float = 10) -> PlaygroundClient:
    """Make a client that trusts this authority."""
    return PlaygroundClient(
        ClientSettings(
            url=url,
            api_key="sk",
            connect_timeout_s=2,
            read_timeout_s=5,
            total_timeout_s=total_timeout_s,
            max_answer_bytes=1_000_000,
            pool_size=4,
            ca_bundle=None if ca_bundle is None else str(ca_bundle),
        )
    )


def test_a_trusted_server_is_called_over_one_kept_connection(
    certificate: Path, tls: ssl.SSLContext
) -> None:
    """The settings' CA bundle is believed, and the handshake is paid for once."""

    def good(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, {"images": [base64_of(picture())]})

    with raw_server(good, tls=tls) as server, client_for(server.url, certificate) as client:
        for _ in range(3):
            with client.send({"prompt": "x"}) as pending:
                answer = Answer(pending.status, pending.headers, pending.read())
            assert judge(answer).meaning is Meaning.RECEIVED
    assert server.accepted == 1


def test_an_untrusted_server_gets_nothing(tls: ssl.SSLContext) -> None:
    """Neither key nor prompt goes to a server that can't prove its name."""
    with (
        raw_server(lambda *_: None, tls=tls) as server,
        client_for(server.url, None) as client,
        pytest.raises(NotSent) as caught,
    ):
        client.send({"prompt": "x"})
    assert caught.value.code == "TLS_FAILED"
    assert not server.seen


@pytest.mark.parametrize("head", [b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"])
def test_the_total_deadline_cuts_an_encrypted_trickle(
    certificate: Path, tls: ssl.SSLContext, head: bytes
) -> None:
    """The socket under the encryption is shut down, in the headers and in the body."""

    def trickle(conn: socket.socket, _: Seen) -> None:
        conn.sendall(head)
        for _piece in range(40):
            time.sleep(0.05)
            conn.sendall(b"2")

    with (
        raw_server(trickle, tls=tls) as server,
        client_for(server.url, certificate, total_timeout_s=0.4) as client,
        pytest.raises(OutcomeUnknown) as caught,
        client.send({"prompt": "x"}) as pending,
    ):
        pending.read()
    assert caught.value.code == "CALL_DEADLINE"
