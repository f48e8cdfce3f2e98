"""One attempt, against receivers that do what receivers do."""

import logging
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from tasks.errors import SecretUnusable
from tasks.webhooks.addresses.address_guard import AddressGuard
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.schedule import Delivered, Disabled, TryAgain, next_step
from tests.http1.interim import CONTINUE, HINTS, INTERIM, MANY_LINES, SWITCHING, TOO_MANY
from tests.playground.raw_server import Seen, answer, raw_server, reset
from tests.tasks.webhooks.receivers import BODY, SECRET, at, send, sender

pytestmark = pytest.mark.enable_socket


def writes(*pieces: bytes, pause_s: float = 0.0) -> Callable[[socket.socket, Seen], None]:
    """Make a receiver that writes these bytes, slowly if wanted, and hangs up."""

    def script(conn: socket.socket, _: Seen) -> None:
        for piece in pieces:
            conn.sendall(piece)
            time.sleep(pause_s)
        conn.shutdown(socket.SHUT_RDWR)

    return script


def says(status: str, *headers: str, body: bytes = b"") -> Callable[[socket.socket, Seen], None]:
    """Make a receiver that answers properly."""
    return lambda conn, _: answer(conn, body, status, *headers)


def outcome_of(script: Callable[[socket.socket, Seen], None], *, total_s: float = 30.0) -> Outcome:
    """Make one attempt at a receiver."""
    with raw_server(script) as server:
        return send(f"http://127.0.0.1:{server.port}/", sender(total_s=total_s))


def test_a_message_arrives_signed_and_whole() -> None:
    """The receiver checks it with the Standard Webhooks project's library and finds it good."""
    with raw_server(says("200 OK", body=b"thanks")) as server:
        outcome = send(f"http://127.0.0.1:{server.port}/hook?tenant=7")
    assert (outcome.status, outcome.failure, outcome.first_bytes) == (200, None, b"thanks")
    assert outcome.latency_s > 0
    (seen,) = server.seen
    assert seen.line == "POST /hook?tenant=7 HTTP/1.1"
    assert seen.body == BODY
    assert seen.headers["host"] == f"127.0.0.1:{server.port}"
    assert seen.headers["content-type"] == "application/json"
    Webhook(SECRET).verify(seen.body, seen.headers)


def test_every_attempt_has_the_same_id_and_a_time_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The id is for recognising repeats, the time for refusing replays."""
    with raw_server(says("500 Oops")) as server:
        for moment in (1_700_000_000.9, 1_700_000_300.0):
            monkeypatch.setattr(time, "time", lambda now=moment: now)
            send(f"http://127.0.0.1:{server.port}/")
    assert {seen.headers["webhook-id"] for seen in server.seen} == {"msg_1"}
    times = [seen.headers["webhook-timestamp"] for seen in server.seen]
    assert times == ["1700000000", "1700000300"]


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_redirect_is_not_followed(status: str) -> None:
    """Not to the inside, and not anywhere else: it is a failure that can be seen in the log."""
    with raw_server(says("200 OK")) as inside:
        location = f"Location: http://127.0.0.1:{inside.port}/admin"
        outcome = outcome_of(says(status, location))
    assert outcome.status == int(status[:3])
    assert not inside.accepted
    assert isinstance(next_step(outcome, 1), TryAgain)


def test_a_receiver_that_is_gone_is_switched_off() -> None:
    """410 says so, and what it says is kept."""
    outcome = outcome_of(says("410 Gone", body=b"no more, please"))
    assert next_step(outcome, 1) == Disabled()
    assert outcome.first_bytes == b"no more, please"


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_a_receiver_that_asks_for_rest_gets_it(status: str) -> None:
    """`Retry-After` travels from its answer to the schedule."""
    outcome = outcome_of(says(status, "Retry-After: 120"))
    assert outcome.retry_after_s == 120
    assert next_step(outcome, 1, uniform=lambda low, _: low) == TryAgain(120)


@pytest.mark.parametrize("frame", ["length", "chunks", "none"])
def test_of_a_huge_answer_only_the_beginning_is_read(frame: str) -> None:
    """A kilobyte is for recognising it; the rest never gets into memory."""

    def huge(conn: socket.socket, _: Seen) -> None:
        head = {
            "length": b"Content-Length: 1000000000\r\n\r\n",
            "chunks": b"Transfer-Encoding: chunked\r\n\r\n40000000\r\n",
            "none": b"\r\n",
        }
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + head[frame])
        while True:  # until the sender hangs up
            conn.sendall(b"x" * 65536)

    outcome = outcome_of(huge)
    assert (outcome.status, outcome.first_bytes) == (200, b"x" * 1024)


def test_a_compressed_bomb_stays_packed() -> None:
    """What is noted are the bytes as they came."""
    outcome = outcome_of(says("200 OK", "Content-Encoding: gzip", body=b"\x1f\x8b not really"))
    assert (outcome.status, outcome.first_bytes) == (200, b"\x1f\x8b not really")


def test_a_silent_receiver_is_left_in_time() -> None:
    """It reads everything and says nothing."""

    def silent(conn: socket.socket, _: Seen) -> None:
        conn.recv(1)

    outcome = outcome_of(silent, total_s=0.3)
    assert outcome.failure is Failure.TIMEOUT
    assert outcome.latency_s >= 0.3


@pytest.mark.parametrize("start", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 100 C\r\n"])
def test_a_head_that_trickles_is_left_in_time(start: bytes) -> None:
    """Each byte comes well within any read timeout; together they would go on indefinitely."""
    outcome = outcome_of(writes(start, *[b"0"] * 600, pause_s=0.05), total_s=0.4)
    assert outcome.failure is Failure.TIMEOUT
    assert outcome.latency_s >= 0.4


def test_a_body_that_trickles_is_left_in_time_and_the_status_stands() -> None:
    """The receiver said that it has the message; only its chatter is cut."""
    head = b"HTTP/1.1 202 Accepted\r\nContent-Length: 999\r\n\r\n"
    outcome = outcome_of(writes(head, *[b"z"] * 900, pause_s=0.05), total_s=3.0)
    assert outcome.status == 202
    assert outcome.first_bytes.strip(b"z") == b""
    assert 0 < len(outcome.first_bytes) < 900
    assert next_step(outcome, 1) == Delivered()


def test_a_receiver_that_reads_nothing_is_left_in_time() -> None:
    """A large body fills every buffer on the way, and sending must end as well."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        outcome = sender(total_s=0.3).send(
            f"http://127.0.0.1:{listener.getsockname()[1]}/",
            message_id="msg_1",
            body=b"x" * 20_000_000,
            signing_secrets=[SECRET],
        )
    assert outcome.failure is Failure.TIMEOUT


def test_a_body_cut_short_leaves_the_status() -> None:
    """What is missing is only missing."""
    outcome = outcome_of(writes(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhalf"))
    assert (outcome.status, outcome.first_bytes) == (200, b"half")


def test_a_connection_cut_before_the_answer_is_said_so() -> None:
    """By a goodbye or by a reset."""
    assert outcome_of(writes()).failure is Failure.CONNECTION_LOST
    assert outcome_of(lambda conn, _: reset(conn)).failure is Failure.CONNECTION_LOST


@pytest.mark.parametrize(
    "garbage",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"-ERR unknown command\r\n",
        b"HTTP/1.1 9999 Big\r\n\r\n",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 300_000,
        SWITCHING,
        TOO_MANY + b"HTTP/1.1 200 OK\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\x50",
    ],
)
def test_what_is_not_http_is_said_so(garbage: bytes) -> None:
    """A server of another protocol listens there, or the receiver sends garbage on purpose."""
    assert outcome_of(writes(garbage)).failure is Failure.ANSWER_GARBLED


@pytest.mark.parametrize("name", INTERIM)
def test_interim_responses_are_skipped(name: str) -> None:
    """A receiver that has the message does not get it again."""
    with raw_server(writes(INTERIM[name] + b"HTTP/1.1 200 OK\r\n\r\nthanks")) as server:
        outcome = send(f"http://127.0.0.1:{server.port}/")
    assert (outcome.status, outcome.first_bytes) == (200, b"thanks")
    assert next_step(outcome, 1) == Delivered()
    assert len(server.seen) == 1


def test_a_refusal_after_an_interim_response_is_a_refusal() -> None:
    """The message comes again later."""
    outcome = outcome_of(writes(HINTS, b"HTTP/1.1 503 Busy\r\nRetry-After: 120\r\n\r\n"))
    assert (outcome.status, outcome.retry_after_s) == (503, 120)


def test_an_end_after_an_interim_response_is_said_so() -> None:
    """There was no answer."""
    assert outcome_of(writes(CONTINUE)).failure is Failure.CONNECTION_LOST


def test_interim_responses_without_end_are_left_in_time() -> None:
    """They are limited by the attempt's deadline, and by their bytes."""
    outcome = outcome_of(writes(*[HINTS] * 600, pause_s=0.05), total_s=0.4)
    assert outcome.failure is Failure.TIMEOUT


def test_an_answer_may_have_many_header_lines() -> None:
    """Their bytes are limited."""
    outcome = outcome_of(writes(b"HTTP/1.1 202 Accepted\r\n" + MANY_LINES + b"\r\n"))
    assert outcome.status == 202


def test_nobody_listening_is_said_so() -> None:
    """The receiver is down."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").failure is Failure.CONNECT_REFUSED


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    start=st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 429 X\r\nDate: "]),
    rest=st.binary(max_size=200) | st.text(max_size=99).map(str.encode),
)
def test_no_answer_whatever_its_bytes_makes_the_sender_fail(start: bytes, rest: bytes) -> None:
    """Everything that the wire's code can raise becomes an outcome of a kind that is known."""
    outcome = outcome_of(writes(start, rest))
    assert outcome.failure in {None, Failure.ANSWER_GARBLED, Failure.CONNECTION_LOST}


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    """The name exists in no DNS, and its next answer would be another: neither matters."""
    with raw_server(says("200 OK", "Connection: close")) as server:
        by = sender(at(["127.0.0.1"], ["10.0.0.1"]))
        assert send(f"http://rebinds.invalid:{server.port}/", by).status == 200
        again = send(f"http://rebinds.invalid:{server.port}/", by)
    assert again.failure is Failure.ADDRESS_REFUSED
    assert [seen.headers["host"] for seen in server.seen] == [f"rebinds.invalid:{server.port}"]


def test_an_address_that_turned_bad_gets_no_connection() -> None:
    """It was a good one when the job was submitted; every attempt checks anew."""
    with raw_server(says("200 OK")) as server:
        outcome = send(f"http://127.0.0.1:{server.port}/", sender(AddressGuard()))
    assert outcome.failure is Failure.ADDRESS_REFUSED
    assert not server.accepted


def test_a_receivers_living_address_is_found_behind_a_dead_one() -> None:
    """Both were checked, so both may be called."""
    with raw_server(says("200 OK")) as server:
        # No server listens at the first.
        by = sender(at(["::1", "127.0.0.1"]))
        assert send(f"http://two.invalid:{server.port}/", by).status == 200


def test_a_name_that_leads_nowhere_is_said_so() -> None:
    """It may be back at the next attempt."""
    assert send("http://gone.invalid/", sender(at([]))).failure is Failure.DNS_FAILED


def test_proxies_netrc_and_cookies_of_this_machine_play_no_part(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A proxy would look names up again, and passwords are none of the receiver's business."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hush\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    with raw_server(says("200 OK", "Set-Cookie: a=b")) as server:
        by = sender()
        for _ in range(2):
            assert send(f"http://127.0.0.1:{server.port}/", by).status == 200
    for seen in server.seen:
        assert {"cookie", "authorization"}.isdisjoint(seen.headers)


def test_neither_secrets_nor_paths_get_into_logs_or_outcomes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever goes well or wrong, at every level, and in every library below."""
    caplog.set_level(logging.DEBUG)
    garbled = writes(b"HTTP/1.1 200 OK\r\n: \r\nno header\r\n\r\n")
    with raw_server(says("500 Oops")) as failing, raw_server(garbled) as odd:
        urls = [f"http://127.0.0.1:{port}/hush?hush" for port in (failing.port, odd.port)]
        urls += ["http://10.0.0.1/hush?hush", "http://x y/hush", "http://127.0.0.1:22/hush"]
        outcomes = [send(url) for url in urls]
    assert "10.0.0.1" in caplog.text
    for text in (caplog.text, repr(outcomes)):
        assert "hush" not in text
        assert SECRET.removeprefix("whsec_") not in text


def test_a_secret_that_is_none_is_our_mistake_and_sends_nothing() -> None:
    """The receiver has no part in it, so it is no outcome."""
    with raw_server(says("200 OK")) as server:
        with pytest.raises(SecretUnusable):
            sender().send(
                f"http://127.0.0.1:{server.port}/",
                message_id="msg_1",
                body=BODY,
                signing_secrets=["hush"],
            )
        assert not server.accepted


def test_a_living_address_is_not_passed_over_for_a_dead_one() -> None:
    """They are tried in the order in which they were found."""
    with raw_server(says("200 OK")) as server:
        url = f"http://receiver.test:{server.port}/"
        outcome = send(url, sender(at(["127.0.0.1", "::1"])))
    assert outcome.status == 200
