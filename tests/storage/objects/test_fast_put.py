"""Puts on the fast path: where it must be no other than boto3's own, and where boto3 takes over."""

import shutil
import socket
import ssl
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from storage.errors import ObjectStoreRefused
from storage.objects.s3_config import StoreSettings
from storage.objects.store import ObjectStore
from tests.playground.raw_server import RawServer, Seen, answer, json_answer, raw_server
from tests.services.absence import absent

pytestmark = pytest.mark.enable_socket

KEY = "darkroom/images/a/1-0.png"


def stored(conn: socket.socket, _seen: Seen) -> None:
    """Take whatever is put."""
    answer(conn, b"", "200 OK", 'ETag: "x"')


def store_at(url: str, **changes: Any) -> ObjectStore:
    """A bucket there, with keys of its own."""
    values: dict[str, Any] = {
        "bucket": "b",
        "endpoint_url": url,
        "region": "us-east-1",
        "addressing": "path",
        "access_key_id": "AKID",
        "secret_access_key": "secret",
    }
    return ObjectStore(StoreSettings(**{**values, **changes}))


@contextmanager
def put_once(server: RawServer, url: str, **changes: Any) -> Iterator[Seen]:
    """Put an object there; what came."""
    store = store_at(url, **changes)
    store.put(KEY, b"picture")
    store.close()
    assert len(server.seen) == 1
    assert server.seen[0].body == b"picture"
    yield server.seen[0]


def test_a_put_is_signed_and_sent_at_once() -> None:
    """Without asking leave to send its body first."""
    with (
        raw_server(stored) as server,
        put_once(server, f"http://127.0.0.1:{server.port}") as seen,
    ):
        assert seen.line == f"PUT /b/{KEY} HTTP/1.1"
        assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/")
        assert seen.headers["content-type"] == "image/png"
        assert "expect" not in seen.headers


def test_puts_go_through_the_proxy_that_boto3_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its password, and to a host that only the proxy can find."""
    with raw_server(stored) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://user:pass@127.0.0.1:{server.port}")
        with put_once(server, "http://s3.example.invalid") as seen:
            assert seen.line == f"PUT http://s3.example.invalid/b/{KEY} HTTP/1.1"
            assert seen.headers["proxy-authorization"].split()[1] == (
                b64encode(b"user:pass").decode()
            )


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """An authority of one's own for 127.0.0.1: key and certificate in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("no openssl on the PATH")
    words = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=x"
    files = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run([openssl, *words.split(), *files], cwd=tmp_path, check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_text((tmp_path / "key.pem").read_text() + (tmp_path / "cert.pem").read_text())
    return both


def test_puts_trust_the_authorities_that_boto3_trusts(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store behind a private authority."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
    with (
        raw_server(stored, tls=tls) as server,
        put_once(server, f"https://127.0.0.1:{server.port}") as seen,
    ):
        assert seen.headers["x-amz-content-sha256"] == sha256(b"picture").hexdigest()
        assert seen.headers["user-agent"] == "darkroom-queue"  # not boto3, after a failure


def test_puts_follow_credentials_that_rotate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's keys end after a while; every put is signed with those that hold."""
    issued = 0

    def issue(conn: socket.socket, _seen: Seen) -> None:
        nonlocal issued
        issued += 1
        ends = datetime.now(UTC) + timedelta(minutes=1)  # so near that botocore asks again
        keys = {"AccessKeyId": f"AK{issued}", "SecretAccessKey": "s", "Token": f"T{issued}"}
        json_answer(conn, keys | {"Expiration": ends.isoformat()})

    with raw_server(issue) as role, raw_server(stored) as server:
        monkeypatch.setenv(
            "AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{role.port}/role"
        )
        store = store_at(
            f"http://127.0.0.1:{server.port}", access_key_id=None, secret_access_key=None
        )
        store.put(KEY, b"1")
        store.put(KEY, b"2")
        store.close()
        signed_by = [seen.headers["authorization"] for seen in server.seen]
        tokens = [seen.headers["x-amz-security-token"] for seen in server.seen]
    assert len(set(signed_by)) == len(set(tokens)) == len(server.seen) == 2
    assert all(
        f"Credential=AK{token[1:]}/" in by for by, token in zip(signed_by, tokens, strict=True)
    )


@pytest.mark.parametrize(
    ("changes", "header"),
    [
        ({"extra_put_args": {"Tagging": "a=b"}}, "x-amz-tagging"),
        ({"extra_put_args": {"ServerSideEncryption": "aws:kms"}}, "x-amz-server-side-encryption"),
        ({"checksums": "when_supported"}, "x-amz-checksum-crc32"),
    ],
)
def test_puts_with_extras_are_boto3s(changes: dict[str, Any], header: str) -> None:
    """It knows how each is said."""
    with (
        raw_server(stored) as server,
        put_once(server, f"http://127.0.0.1:{server.port}", **changes) as seen,
    ):
        assert header in seen.headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_puts_to_a_bucket_that_is_elsewhere_are_left_to_boto3(status: int) -> None:
    """It follows; each put on the fast path would be one in vain."""

    def move_the_fast_path(conn: socket.socket, seen: Seen) -> None:
        if "boto3" in seen.headers["user-agent"].lower():
            stored(conn, seen)
        else:
            answer(conn, b"", f"{status} Elsewhere")

    with raw_server(move_the_fast_path) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        for _ in range(2):
            store.put(KEY, b"picture")
        store.close()
        assert len(server.seen) == 3


def test_a_put_that_failed_is_made_again_by_boto3() -> None:
    """If a store is busy for a moment, no picture is lost."""

    def busy_at_first(conn: socket.socket, seen: Seen) -> None:
        if len(server.seen) == 1:
            answer(conn, b"", "503 Slow Down")
        else:
            stored(conn, seen)

    with raw_server(busy_at_first) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        store.put(KEY, b"picture")
        store.close()
        assert [seen.body for seen in server.seen] == [b"picture"] * 2


@pytest.mark.parametrize(
    "came",
    [
        b"gibberish\r\n\r\n",
        b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n",
        b"",
    ],
)
def test_a_later_put_that_failed_is_made_again_by_boto3(came: bytes) -> None:
    """One over a connection that was used before, which does not go through urllib3."""

    def fail_once(conn: socket.socket, seen: Seen) -> None:
        if len(server.seen) == 2:
            conn.sendall(came)
            if not came.startswith(b"HTTP/1.1 503"):
                # After a whole answer the connection may serve the next try: to end it now would
                # race with that.
                conn.shutdown(socket.SHUT_WR)
        else:
            stored(conn, seen)

    with raw_server(fail_once) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        store.put(KEY, b"picture")
        store.put(KEY, b"another")
        store.close()
        assert [seen.body for seen in server.seen] == [b"picture", b"another", b"another"]


def test_later_puts_say_what_the_first_one_says() -> None:
    """Over the same connection, and signed alike."""
    with raw_server(stored) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        for body in (b"picture", b"another"):
            store.put(KEY, body)
        store.close()
        first, later = server.seen
    assert (later.line, later.connection, later.body) == (first.line, 0, b"another")
    for seen in (first, later):
        # What changes with each put.
        seen.headers["authorization"] = seen.headers["authorization"].partition("Signature")[0]
        seen.headers.pop("x-amz-date")
        seen.headers.pop("x-amz-content-sha256")
    assert later.headers == first.headers


def test_a_put_without_credentials_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In boto3's words, as ever."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    store = store_at("http://127.0.0.1:1", access_key_id=None, secret_access_key=None)
    with pytest.raises(ObjectStoreRefused) as refused:
        store.put(KEY, b"picture")
    store.close()
    assert refused.value.code == "NoCredentialsError"


@pytest.mark.parametrize("key", ["a b.png", "a/é.png", "a//b.png", "../a.png", "/a.png"])
def test_a_key_that_a_url_cannot_carry_is_boto3s(key: str) -> None:
    """Quoting is its business."""
    with raw_server(stored) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        store.put(key, b"picture")
        store.close()
        assert "boto3" in server.seen[0].headers["user-agent"].lower()
