"""A bucket's interim responses, unusual answers and silences, for every kind of request."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

import boto3
import pytest

from http1.head import MAX_INTERIM_BYTES
from storage.errors import ObjectStoreUnavailable
from storage.objects import s3_config
from storage.objects.store import ObjectStore
from tests.http1.interim import CONTINUE, HINTS, INTERIM, MANY_LINES, SWITCHING, TOO_MANY
from tests.playground.raw_server import RawServer, Script, Seen, answer, raw_server
from tests.storage.objects.test_fast_put import KEY, store_at, stored

pytestmark = pytest.mark.enable_socket

OBJECT = b"picture"
BUSY = b"HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\n\r\n"
#: By boto3 alone.
BOTO3S: dict[str, Any] = {"extra_put_args": {"Tagging": "a=b"}}

Ask = Callable[[ObjectStore], object]

REQUESTS: dict[str, tuple[dict[str, Any], Ask, object]] = {
    "first put": ({}, lambda store: store.put(KEY, OBJECT), None),
    "later put": ({}, lambda store: store.put(KEY, OBJECT), None),
    "put of boto3": (BOTO3S, lambda store: store.put(KEY, OBJECT), None),
    "get": ({}, lambda store: store.get(KEY), OBJECT),
    "stream": ({}, lambda store: b"".join(store.stream(KEY)), OBJECT),
    "head": ({}, lambda store: store.exists(KEY), True),
    "delete": ({}, lambda store: store.delete(KEY), None),
}
KINDS = pytest.mark.parametrize("kind", REQUESTS)
PUTS = pytest.mark.parametrize("kind", [kind for kind in REQUESTS if "put" in kind])


@pytest.fixture(autouse=True)
def _one_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """boto3 waits before it tries again."""
    monkeypatch.setattr(s3_config, "_ATTEMPTS", 1)


@contextmanager
def bucket(kind: str, script: Script, **changes: Any) -> Iterator[tuple[ObjectStore, RawServer]]:
    """A bucket that does this, for one kind of request: a later one has a connection already."""
    is_open = threading.Event()

    def play(conn: socket.socket, seen: Seen) -> None:
        (script if is_open.is_set() else stored)(conn, seen)

    with raw_server(play) as server:
        store = store_at(f"http://127.0.0.1:{server.port}", **REQUESTS[kind][0], **changes)
        if kind == "later put":
            store.put(KEY, OBJECT)
            server.seen.clear()
        is_open.set()
        yield store, server
        store.close()


def is_unavailable(kind: str, script: Script, **changes: Any) -> None:
    """Such a bucket is one that is away for now."""
    with (
        bucket(kind, script, **changes) as (store, _server),
        pytest.raises(ObjectStoreUnavailable),
    ):
        REQUESTS[kind][1](store)


def final(seen: Seen) -> bytes:
    """Answer as S3 does."""
    if seen.line.startswith("GET"):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n" + OBJECT
    if seen.line.startswith("HEAD"):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
    if seen.line.startswith("DELETE"):
        return b"HTTP/1.1 204 No Content\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("kind", "interim"),
    [
        *((kind, interim) for kind in REQUESTS for interim in ("103", "100 and 103", "many")),
        *(("later put", interim) for interim in INTERIM),
    ],
)
def test_interim_responses_are_skipped(kind: str, interim: str) -> None:
    """One request is enough, and its connection stays good."""
    _, ask, expected = REQUESTS[kind]
    with bucket(kind, lambda conn, seen: conn.sendall(INTERIM[interim] + final(seen))) as (
        store,
        server,
    ):
        assert [ask(store), ask(store)] == [expected] * 2
        assert (server.accepted, len(server.seen)) == (1, 2)


@KINDS
@pytest.mark.parametrize("interim", [HINTS, CONTINUE, CONTINUE + HINTS])
def test_a_refusal_after_an_interim_response_is_a_refusal(kind: str, interim: bytes) -> None:
    """A put is not stored, and an object is not found, because of a 103."""
    is_unavailable(kind, lambda conn, _: conn.sendall(interim + BUSY))


@KINDS
@pytest.mark.parametrize("raw", [b"", CONTINUE, HINTS, SWITCHING, b"HTTP/1.1 200 OK\r\nX: 1"])
def test_an_end_before_the_final_response_is_no_success(kind: str, raw: bytes) -> None:
    """Neither is another protocol, nor half a head."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(raw)
        conn.shutdown(socket.SHUT_WR)

    is_unavailable(kind, script)


@KINDS
def test_too_many_interim_responses_are_an_error(kind: str) -> None:
    """Their bytes are limited together."""
    is_unavailable(kind, lambda conn, seen: conn.sendall(TOO_MANY + final(seen)))


@KINDS
def test_an_answer_may_have_many_header_lines(kind: str) -> None:
    """A picture is not put twice because of them."""
    _, ask, expected = REQUESTS[kind]

    def script(conn: socket.socket, seen: Seen) -> None:
        line, _, rest = final(seen).partition(b"\r\n")
        conn.sendall(line + b"\r\n" + MANY_LINES + rest)

    with bucket(kind, script) as (store, server):
        assert ask(store) == expected
        assert len(server.seen) == 1


@PUTS
@pytest.mark.parametrize("status", ["201 Created", "202 Accepted", "204 No Content", "206 Partial"])
def test_only_a_200_says_that_an_object_is_stored(kind: str, status: str) -> None:
    """S3 says nothing else; a gateway in between may."""
    is_unavailable(
        kind, lambda conn, _: answer(conn, b"", status, length=not status.startswith("204"))
    )


@PUTS
@pytest.mark.parametrize(
    "raw", [b"", HINTS, b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]
)
def test_a_put_that_is_never_answered_ends_within_its_read_timeout(kind: str, raw: bytes) -> None:
    """Without that this test would not end: the bucket waits for as long as the store does."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(raw)
        conn.recv(1)

    is_unavailable(kind, script, read_timeout_s=0.2)


@pytest.mark.parametrize("kind", ["first put", "later put"])
def test_a_put_that_is_never_read_ends_within_a_timeout(kind: str) -> None:
    """Its body fills every buffer on the way."""
    is_over = threading.Event()

    def wait(conn: socket.socket, seen: Seen) -> None:
        if seen.line:  # the one that is answered before the bucket stops reading
            stored(conn, seen)
        if seen.line or seen.connection or kind == "first put":
            is_over.wait(60)

    with raw_server(wait, greet=wait) as server:
        store = store_at(
            f"http://127.0.0.1:{server.port}", connect_timeout_s=1.0, read_timeout_s=1.0
        )
        if kind == "later put":
            store.put(KEY, OBJECT)
        try:
            with pytest.raises(ObjectStoreUnavailable):
                store.put(KEY, bytes(32_000_000))
        finally:
            is_over.set()
            store.close()


@PUTS
def test_interim_responses_do_not_renew_a_puts_timeout(kind: str) -> None:
    """An upload thread is not held by a bucket that says now and then that it goes on."""
    sent: list[int] = []

    def script(conn: socket.socket, _: Seen) -> None:
        while True:  # until the store hangs up
            time.sleep(0.02)
            conn.sendall(HINTS)
            sent.append(len(HINTS))

    is_unavailable(kind, script, read_timeout_s=0.2)
    assert 0 < sum(sent) < MAX_INTERIM_BYTES


@pytest.mark.parametrize("checksums", ["when_required", "when_supported"])
def test_no_put_waits_for_leave_to_send_its_body(checksums: str) -> None:
    """Botocore's own reading of heads is not used, even for a body that is a file."""
    with bucket("first put", stored, checksums=checksums) as (store, server):
        store.put(KEY, OBJECT)
        store._client(store._endpoint_url).put_object(Bucket="b", Key="k", Body=BytesIO(OBJECT))
        assert all("expect" not in seen.headers for seen in server.seen)


def test_other_clients_of_the_process_are_as_they_were() -> None:
    """No library is patched: another client asks for leave, and reads as botocore does."""
    with bucket("first put", lambda conn, seen: conn.sendall(CONTINUE + final(seen))) as (
        store,
        server,
    ):
        store.put(KEY, OBJECT)
        session = boto3.session.Session("AKID", "secret", region_name="us-east-1")
        client: Any = session.client("s3", endpoint_url=f"http://127.0.0.1:{server.port}")
        client.put_object(Bucket="b", Key="k", Body=BytesIO(OBJECT))
        pool_classes = client._endpoint.http_session._pool_classes_by_scheme
        client.close()
    assert server.seen[-1].headers["expect"] == "100-continue"
    assert {each.__module__ for each in pool_classes.values()} == {"botocore.awsrequest"}


def test_interim_responses_through_a_proxy_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pools are the client's own, too."""
    with raw_server(lambda conn, seen: conn.sendall(HINTS + final(seen))) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.port}")
        store = store_at("http://s3.example.invalid")
        store.put(KEY, OBJECT)
        assert store.get(KEY) == OBJECT
        store.close()
        assert len(server.seen) == 2


def test_a_store_that_is_closed_holds_no_connection() -> None:
    """The bucket sees the end of it; the store may be used again."""
    has_ended = threading.Event()

    def play(conn: socket.socket, seen: Seen) -> None:
        conn.sendall(final(seen))
        if not seen.connection and conn.recv(1, socket.MSG_PEEK) == b"":
            has_ended.set()

    with raw_server(play) as server:
        store = store_at(f"http://127.0.0.1:{server.port}")
        store.put(KEY, OBJECT)
        in_use = store._client(store._endpoint_url)  # by another thread, in mid-call
        assert not has_ended.is_set()
        store.close()
        assert has_ended.wait(30)
        del in_use
        assert store.get(KEY) == OBJECT
        store.put(KEY, OBJECT)
        store.close()
        assert server.accepted == 2
