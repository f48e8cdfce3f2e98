"""Which connections further webhooks use, when they are closed, and where they may lead."""

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.webhooks.addresses.address_guard import AddressGuard
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.sending.answer import FIRST_BYTES, MOST_BYTES
from tasks.webhooks.sending.kept_connections import (
    CHECKED_S,
    IDLE_S,
    MOST_IN_ALL,
    MOST_TO_ONE,
    KeptConnections,
)
from tasks.webhooks.sending.sender import Sender
from tests.playground.raw_server import Seen, answer, raw_server, reset
from tests.tasks.webhooks.receivers import LOOPBACK, at, send, sender

pytestmark = pytest.mark.enable_socket

Script = Callable[[socket.socket, Seen], None]
OK = b"HTTP/1.1 200 OK\r\n"
WITHIN_S = 30


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        """Return its time."""
        return self.now_s


def says(status: str = "200 OK", *headers: str, body: bytes = b"ok") -> Script:
    """Make a receiver that answers properly."""
    return lambda conn, _: answer(conn, body, status, *headers)


def writes(data: bytes) -> Script:
    """Make a receiver that writes these bytes, and keeps its connection open."""
    return lambda conn, _: conn.sendall(data)


def twice(script: Script, by: Sender | None = None) -> tuple[list[Outcome], list[int]]:
    """Send two webhooks to one receiver: their outcomes, and the connections they came over."""
    by = by or sender()
    with raw_server(script) as server:
        outcomes = [send(f"http://127.0.0.1:{server.port}/", by) for _ in range(2)]
    return outcomes, [seen.connection for seen in server.seen]


@pytest.mark.parametrize(
    "script",
    [
        says(),
        says("500 Oops", body=b"x" * 20_000),
        says("200 OK", body=b"x" * MOST_BYTES),
        says("204 No Content", body=b""),
        lambda conn, _: conn.sendall(b"HTTP/1.1 204 No Content\r\n\r\n"),
        writes(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        writes(b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 2\r\n\r\nok"),
        writes(OK + b"content-length: 2\r\nconnection: Keep-Alive\r\n\r\nok"),
    ],
    ids=["plain", "failed", "long", "empty", "no-length", "chunked", "interim", "keep-alive"],
)
def test_a_connection_serves_the_next_webhook(script: Script) -> None:
    """After each answer that was read whole, whatever its status."""
    outcomes, connections = twice(script)
    assert outcomes[0].status == outcomes[1].status
    assert connections == [0, 0]


@pytest.mark.parametrize(
    "script",
    [
        says("200 OK", "Connection: close"),
        says("200 OK", body=b"x" * (FIRST_BYTES + MOST_BYTES + 1)),
        writes(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        writes(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok"),
        writes(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"),
        writes(OK + b"Content-Length: +2\r\n\r\nok"),
        writes(OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        writes(OK + b"Content-Length: 2\r\nTransfer-Encoding: gzip\r\n\r\nok"),
        writes(OK + b"Content-Length: 2\r\nno header\r\n\r\nok"),
        writes(OK + b"Content-Length: 2\r\n\r\nok, and more"),
        writes(OK + b"Content-Length: 2\r\n\r\nok" + OK + b"Content-Length: 2\r\n\r\nno"),
        writes(OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore"),
        writes(OK + b"Transfer-Encoding: chunked\r\n\r\nnine\r\n"),
        writes(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n"),
        writes(b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
    ids=[
        "close",
        "too-long",
        "http-1.0",
        "http-1.0-keep-alive",
        "two-lengths",
        "odd-length",
        "length-and-chunks",
        "length-and-coding",
        "odd-header",
        "surplus",
        "two-answers",
        "surplus-after-chunks",
        "chunk-without-size",
        "length-without-body",
        "coding-without-body",
    ],
)
def test_a_connection_is_closed_after_an_answer_that_leaves_a_doubt(script: Script) -> None:
    """Bytes of one answer must never be taken for the next one."""
    outcomes, connections = twice(script)
    assert {outcome.failure for outcome in outcomes} == {None}
    assert outcomes[0].status == outcomes[1].status
    assert connections == [0, 1]


@pytest.mark.parametrize(
    "data",
    [
        OK + b"Content-Length: 99\r\n\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nhalf",
        OK + b"Transfer-Encoding: chunked\r\n\r\nnine\r\n",
        OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 2000,
    ],
)
def test_a_connection_is_closed_after_half_an_answer(data: bytes) -> None:
    """The receiver has the message; what is missing of its answer might come later."""

    def half(conn: socket.socket, _: Seen) -> None:
        conn.sendall(data)
        conn.shutdown(socket.SHUT_WR)

    outcomes, connections = twice(half)
    assert [outcome.status for outcome in outcomes] == [200, 200]
    assert connections == [0, 1]


def test_the_rest_of_an_answer_is_not_waited_for_as_long_as_its_head() -> None:
    """The status has come; only the connection is at stake."""
    released = threading.Event()

    def stalls(conn: socket.socket, _: Seen) -> None:
        conn.sendall(OK + b"Content-Length: 5000\r\n\r\n" + b"x" * 2000)
        released.wait(WITHIN_S)

    with raw_server(stalls) as server:
        outcome = send(f"http://127.0.0.1:{server.port}/", sender(total_s=600))
        released.set()
    assert (outcome.status, len(outcome.first_bytes)) == (200, 1024)


def ends(how: Script, *, after: int = 1) -> Script:
    """Answer so many requests of a connection properly, and end it at the next."""
    counts: dict[int, int] = {}

    def script(conn: socket.socket, seen: Seen) -> None:
        counts[seen.connection] = counts.get(seen.connection, 0) + 1
        if counts[seen.connection] > after:
            how(conn, seen)
        else:
            answer(conn, b"ok")

    return script


@pytest.mark.parametrize(
    "how",
    [lambda conn, _: reset(conn), lambda conn, _: conn.shutdown(socket.SHUT_RDWR)],
    ids=["reset", "closed"],
)
def test_a_kept_connection_that_ends_without_an_answer_is_replaced_once(how: Script) -> None:
    """A receiver may close one at any time; the same attempt goes on, with the same id."""
    with raw_server(ends(how)) as server:
        by = sender()
        outcomes = [send(f"http://127.0.0.1:{server.port}/", by) for _ in range(2)]
    assert [outcome.status for outcome in outcomes] == [200, 200]
    assert [seen.connection for seen in server.seen] == [0, 0, 1]
    assert len({seen.headers["webhook-id"] for seen in server.seen}) == 1


def test_a_new_connection_that_ends_without_an_answer_is_not_replaced() -> None:
    """So the receiver gets a message twice in an attempt, and never more often."""
    with raw_server(lambda conn, _: reset(conn)) as server:
        by = sender()
        outcome = send(f"http://127.0.0.1:{server.port}/", by)
    assert outcome.failure is Failure.CONNECTION_LOST
    assert len(server.seen) == 1


def test_a_kept_connection_that_ends_within_an_answer_is_not_replaced() -> None:
    """The receiver had begun to answer, so it has read the message."""

    def half(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"HTTP/1.1 20")
        conn.shutdown(socket.SHUT_RDWR)

    with raw_server(ends(half)) as server:
        by = sender()
        outcomes = [send(f"http://127.0.0.1:{server.port}/", by) for _ in range(2)]
    assert outcomes[1].failure is Failure.ANSWER_GARBLED
    assert len(server.seen) == 2


def test_a_silent_kept_connection_is_not_replaced() -> None:
    """The time of the attempt is over, and the receiver may have the message."""
    released = threading.Event()

    def silent(_conn: socket.socket, _: Seen) -> None:
        released.wait(WITHIN_S)

    kept = KeptConnections()
    with raw_server(ends(silent)) as server:
        url = f"http://127.0.0.1:{server.port}/"
        first = send(url, sender(connections=kept))
        second = send(url, sender(total_s=0.5, connections=kept))
        released.set()
    assert (first.status, second.failure) == (200, Failure.TIMEOUT)
    assert server.accepted == 1


@pytest.mark.parametrize("noise", [b"", b"HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n"])
def test_a_connection_that_spoke_unasked_is_not_used(noise: bytes) -> None:
    """An idle server says goodbye, or answers a request that it never got."""
    gone = threading.Event()

    def script(conn: socket.socket, _: Seen) -> None:
        answer(conn, b"ok")
        # After the client has read the answer; only then is the connection kept.
        released.wait(WITHIN_S)
        conn.sendall(noise)
        if not noise:
            conn.shutdown(socket.SHUT_RDWR)
        gone.set()

    released = threading.Event()
    with raw_server(script) as server:
        by = sender()
        url = f"http://127.0.0.1:{server.port}/"
        assert send(url, by).status == 200
        released.set()
        assert gone.wait(WITHIN_S)
        assert send(url, by).status == 200
    assert [seen.connection for seen in server.seen] == [0, 1]


def test_a_kept_connection_stays_at_the_checked_address_until_its_check_expires() -> None:
    """The name leads inside meanwhile: at first nothing goes there, then the webhook is refused."""
    clock = Clock()
    by = sender(at(["127.0.0.1"], ["10.0.0.1"]), connections=KeptConnections(clock=clock))
    with raw_server(says()) as server:
        url = f"http://rebinds.invalid:{server.port}/"
        for _ in range(4):  # used all the time, so it is never idle for long
            assert send(url, by).status == 200
            clock.now_s += CHECKED_S / 4 - 0.1
        clock.now_s += 1.0
        assert send(url, by).failure is Failure.ADDRESS_REFUSED
    assert [seen.connection for seen in server.seen] == [0] * 4


def test_an_unused_connection_is_closed_although_nothing_is_sent() -> None:
    """The receiver sees its end when the loop of deliveries has looked."""
    clock, ended = Clock(), threading.Event()
    by = sender(connections=KeptConnections(clock=clock))

    def script(conn: socket.socket, _: Seen) -> None:
        answer(conn, b"ok")
        conn.settimeout(WITHIN_S)
        if conn.recv(1, socket.MSG_PEEK) == b"":
            ended.set()

    with raw_server(script) as server:
        assert send(f"http://127.0.0.1:{server.port}/", by).status == 200
        clock.now_s += IDLE_S
        by.close_old_connections()
        assert not ended.is_set()
        clock.now_s += 0.1
        by.close_old_connections()
        assert ended.wait(WITHIN_S)


@pytest.mark.parametrize("path", ["http://10.0.0.1:{}/", "http://127.0.0.1:22/", "ftp://127.0.0.1"])
def test_the_rules_for_addresses_hold_beside_kept_connections(path: str) -> None:
    """Each attempt's address is parsed and checked, whatever is open."""
    by = sender()
    with raw_server(says()) as server:
        assert send(f"http://127.0.0.1:{server.port}/", by).status == 200
        assert send(path.format(server.port), by).failure is Failure.ADDRESS_REFUSED
    assert len(server.seen) == 1


def test_a_connection_serves_only_the_name_it_was_opened_for() -> None:
    """Two names at one address may be two receivers, with rules of their own."""
    looked_up: list[str] = []

    def resolve(host: str) -> Sequence[str]:
        looked_up.append(host)
        return ["127.0.0.1"]

    by = sender(AddressGuard(allowed=LOOPBACK, resolver=resolve))
    with raw_server(says()) as server:
        for name in ("one.invalid", "two.invalid", "one.invalid"):
            assert send(f"http://{name}:{server.port}/", by).status == 200
    assert looked_up == ["one.invalid", "two.invalid"]
    assert [seen.connection for seen in server.seen] == [0, 1, 0]


def at_once(count: int, by: Sender) -> int:
    """Send so many webhooks at the same time to one receiver; return its connections so far."""
    together = threading.Barrier(count)

    def script(conn: socket.socket, _: Seen) -> None:
        together.wait(WITHIN_S)
        answer(conn, b"ok")

    with raw_server(script) as server, ThreadPoolExecutor(count) as threads:
        for _ in range(2):
            urls = [f"http://127.0.0.1:{server.port}/"] * count
            assert {each.status for each in threads.map(lambda url: send(url, by), urls)} == {200}
        return server.accepted


def test_few_unused_connections_to_one_receiver_are_kept() -> None:
    """The others are closed, however many were needed at once."""
    count = MOST_TO_ONE + 3
    assert at_once(count, sender()) == count + 3


def test_few_unused_connections_are_kept_in_all() -> None:
    """The longest unused one is closed for another receiver's."""
    by = sender(AddressGuard(allowed=LOOPBACK, resolver=lambda _: ["127.0.0.1"]))
    with raw_server(says()) as server:
        for name in (*range(MOST_IN_ALL + 1), 1, 0):
            assert send(f"http://r{name}.invalid:{server.port}/", by).status == 200
    assert server.accepted == MOST_IN_ALL + 2
