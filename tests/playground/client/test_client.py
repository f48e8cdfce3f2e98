"""The client against servers that misbehave byte by byte, written from the API's page."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from playground.answers.judge import judge
from playground.answers.verdict import Answer, Meaning, Verdict
from playground.client.client import ClientSettings, PlaygroundClient
from playground.errors import AnswerTooLarge, NotSent, OutcomeUnknown
from tests.http1.interim import CONTINUE, HINTS, INTERIM, MANY_LINES, SWITCHING, TOO_MANY
from tests.playground.pictures import base64_of, picture
from tests.playground.raw_server import (
    RawServer,
    Script,
    Seen,
    answer,
    json_answer,
    raw_server,
    reset,
)

pytestmark = pytest.mark.enable_socket

KEY = "sk-very-secret"
GOOD = {"images": [base64_of(picture())]}
WIRE: dict[str, object] = {"prompt": "a fox", "seed": 7}

is_later = False


def client_for(url: str, **more: Any) -> PlaygroundClient:
    """Make a client with short deadlines."""
    usual: dict[str, Any] = {
        "api_key": KEY,
        "connect_timeout_s": 2.0,
        "read_timeout_s": 5.0,
        "total_timeout_s": 10.0,
        "max_answer_bytes": 1_000_000,
        "pool_size": 8,
    }
    return PlaygroundClient(ClientSettings(url=url, **{**usual, **more}))


@pytest.fixture(autouse=True, params=["first", "later"])
def call_number(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether a test's calls begin with the first of their connection: urllib3 makes that one."""
    monkeypatch.setattr(f"{__name__}.is_later", request.param == "later")


@contextmanager
def serving(
    script: Script, *, greet: Script | None = None, **more: Any
) -> Iterator[tuple[PlaygroundClient, RawServer]]:
    """Open a server and a client that calls it, perhaps over a connection that was used before."""
    opened = threading.Event()

    def play(conn: socket.socket, seen: Seen) -> None:
        (script if opened.is_set() else good)(conn, seen)

    is_opened = is_later and greet is None
    with raw_server(play, greet=greet) as server, client_for(server.url, **more) as client:
        if is_opened:
            assert call(client).meaning is Meaning.RECEIVED
            server.seen.clear()
        opened.set()
        yield client, server


def good(conn: socket.socket, _: Seen) -> None:
    """Answer as the page says."""
    json_answer(conn, GOOD)


def call(client: PlaygroundClient) -> Verdict:
    """Make one whole call."""
    with client.send(WIRE) as pending:
        return judge(Answer(pending.status, pending.headers, pending.read()))


def outcome_of(client: PlaygroundClient) -> Exception:
    """Make a call that must fail, and return how."""
    with pytest.raises((NotSent, OutcomeUnknown, AnswerTooLarge)) as caught:
        call(client)
    assert KEY not in f"{caught.value!s}{caught.value!r}"
    return caught.value


def test_the_request_is_the_pages_own() -> None:
    """POST, JSON body, bearer key, no encoding asked for: what public clients send."""
    with serving(good) as (client, server):
        assert call(client).meaning is Meaning.RECEIVED
    (seen,) = server.seen
    assert seen.line == "POST /api/models/external/v1 HTTP/1.1"
    assert json.loads(seen.body) == WIRE
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["accept-encoding"] == "identity"
    assert seen.headers["user-agent"] == "darkroom-queue"
    assert "cookie" not in seen.headers


def test_without_a_key_no_authorization_is_sent() -> None:
    """The simulator needs no key."""
    with serving(good, api_key=None) as (client, server):
        call(client)
    assert "authorization" not in server.seen[0].headers


def test_a_process_without_threads_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call without a deadline could hold its slot indefinitely, so it is not made."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with raw_server(good) as server, client_for(server.url) as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            assert getattr(outcome_of(client), "code", None) == "NO_THREADS"
        assert server.seen == []
        assert call(client).meaning is Meaning.RECEIVED


def test_netrc_does_not_replace_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own netrc file is not asked."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(good) as (client, server):
        call(client)
    assert server.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only settings name a proxy."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(good) as (client, _):
        assert call(client).meaning is Meaning.RECEIVED


def test_a_proxy_from_the_settings_is_used() -> None:
    """A named proxy gets the whole address."""
    with (
        raw_server(good) as proxy,
        client_for(
            "http://api.invalid/v1", proxy_url=f"http://me:pw@127.0.0.1:{proxy.port}"
        ) as client,
    ):
        assert call(client).meaning is Meaning.RECEIVED
    assert proxy.seen[0].line == "POST http://api.invalid/v1 HTTP/1.1"
    assert proxy.seen[0].headers["proxy-authorization"].startswith("Basic ")


def test_a_dead_proxy_is_not_sent_and_its_password_not_told() -> None:
    """The error names the API's address, not the proxy's secret."""
    with client_for("https://api.invalid/v1", proxy_url="http://me:pw-99@127.0.0.1:9") as client:
        error = outcome_of(client)
    assert isinstance(error, NotSent)
    assert error.code == "PROXY_FAILED"
    assert "pw-99" not in str(error)


def test_connections_are_kept_and_used_again() -> None:
    """Ten calls in a row need one connection, failures included."""

    def script(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, {"message": "no"}, "400 Bad Request")

    for behave in (good, script):
        with serving(behave) as (client, server):
            for _ in range(10):
                call(client)
        assert server.accepted == 1


def test_a_connection_idle_for_too_long_is_not_used_again() -> None:
    """What the server may be about to close is closed first."""
    with serving(good, idle_timeout_s=0.05) as (client, server):
        call(client)
        time.sleep(0.1)
        call(client)
    assert server.accepted == 2


def test_a_connection_the_server_closed_meanwhile_is_noticed() -> None:
    """An idle connection that is gone costs a new one, not a call."""

    def script(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, GOOD)
        reset(conn)

    with serving(script) as (client, server):
        call(client)
        time.sleep(0.1)
        assert call(client).meaning is Meaning.RECEIVED
    assert server.accepted == 2


def test_closing_the_client_closes_its_idle_connections() -> None:
    """The server sees it at once, even if a caller still holds an answer."""
    gone = threading.Event()

    def script(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, GOOD)
        if not conn.recv(1):
            gone.set()

    with raw_server(script) as server:
        with client_for(server.url) as client:
            pending = client.send(WIRE)
            pending.read()
        assert gone.wait(5)
    pending.close()


def says(raw: bytes, *, hangs_up: bool = False) -> Script:
    """Make a server that writes this before, or in place of, a good answer."""

    def script(conn: socket.socket, seen: Seen) -> None:
        conn.sendall(raw)
        if hangs_up:
            conn.shutdown(socket.SHUT_WR)
        else:
            good(conn, seen)

    return script


@pytest.mark.parametrize("name", INTERIM)
def test_interim_responses_before_an_answer_are_skipped(name: str) -> None:
    """One call, one picture, and the connection stays good for the next."""
    with serving(says(INTERIM[name])) as (client, server):
        for _ in range(2):
            assert call(client).meaning is Meaning.RECEIVED
        assert (server.accepted, len(server.seen)) == (1, 2)


@pytest.mark.parametrize("raw", [SWITCHING, HINTS + SWITCHING, TOO_MANY])
def test_a_request_without_a_final_response_may_have_been_paid(raw: bytes) -> None:
    """What comes after another protocol's beginning, or after too much, is no other call's."""
    with serving(says(raw)) as (client, server):
        before = server.accepted
        assert isinstance(outcome_of(client), OutcomeUnknown)
        assert isinstance(outcome_of(client), OutcomeUnknown)
        assert server.accepted == max(before, 1) + 1


@pytest.mark.parametrize("raw", [CONTINUE, HINTS, HINTS + b"HTTP/1.1 200 OK\r\n"])
def test_an_end_before_the_final_response_is_an_unknown_outcome(raw: bytes) -> None:
    """The request was sent."""
    with serving(says(raw, hangs_up=True)) as (client, _server):
        assert isinstance(outcome_of(client), OutcomeUnknown)


def test_interim_responses_without_end_are_cut_at_the_deadline() -> None:
    """They hold no call slot longer than its call may take."""

    def hint(conn: socket.socket, _: Seen) -> None:
        while True:  # until the client hangs up
            conn.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
            time.sleep(0.01)

    with serving(hint, total_timeout_s=0.3) as (client, _server):
        failed = outcome_of(client)
    assert isinstance(failed, OutcomeUnknown)
    assert failed.code == "CALL_DEADLINE"


@pytest.mark.parametrize("interim", [b"", HINTS])
def test_an_answer_with_many_header_lines_is_a_picture(interim: bytes) -> None:
    """It is paid for."""

    def script(conn: socket.socket, _: Seen) -> None:
        body = json.dumps(GOOD).encode()
        size = b"Content-Length: %d\r\n\r\n" % len(body)
        conn.sendall(interim + b"HTTP/1.1 200 OK\r\n" + MANY_LINES + size + body)

    with serving(script) as (client, _server):
        assert call(client).meaning is Meaning.RECEIVED


@pytest.mark.parametrize("name", ["103", "100 and 103"])
def test_interim_responses_of_a_proxy_are_skipped(name: str) -> None:
    """A call through a proxy never takes the fast path."""
    with (
        raw_server(says(INTERIM[name])) as proxy,
        client_for("http://api.invalid/v1", proxy_url=f"http://127.0.0.1:{proxy.port}") as client,
    ):
        for _ in range(2):
            assert call(client).meaning is Meaning.RECEIVED
    assert len(proxy.seen) == 2


def test_an_answer_left_unread_closes_its_connection() -> None:
    """A connection with a body still in it is never used for another call."""
    with serving(good) as (client, server):
        with client.send(WIRE) as pending:
            assert pending.size_hint_bytes == len(json.dumps(GOOD))
        assert call(client).meaning is Meaning.RECEIVED
    assert server.accepted == 2


def test_most_of_a_large_answer_stays_with_the_server_until_it_is_read() -> None:
    """A thousand that wait in this kernel's memory would leave no room for any."""
    size_bytes = 8_000_000
    taken: list[int] = []

    def send(conn: socket.socket, _: Seen) -> None:
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
        conn.settimeout(0.5)
        left = memoryview(bytes(size_bytes))
        try:
            conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size_bytes)
            while left:
                left = left[conn.send(left) :]
        except TimeoutError:
            pass
        finally:
            conn.settimeout(None)
        taken.append(size_bytes - len(left))
        conn.sendall(left)

    with serving(send, max_answer_bytes=size_bytes) as (client, server):
        for _ in range(5):
            with client.send(WIRE) as pending:
                assert len(pending.read()) == size_bytes
        with client.send(WIRE) as pending:
            while len(taken) < 6:
                time.sleep(0.01)
            assert len(pending.read()) == size_bytes
        assert taken[-1] < 2_000_000
        assert server.accepted == 1


def test_a_refused_connection_is_not_sent() -> None:
    """If no server listens, the call is not paid, and the error names the address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with client_for(f"http://127.0.0.1:{port}/") as client:
        error = outcome_of(client)
    assert isinstance(error, NotSent)
    assert error.code == "CONNECT_REFUSED"
    assert f"127.0.0.1:{port}" in str(error)


def test_a_server_without_tls_is_not_sent() -> None:
    """A handshake that fails comes before the request."""
    with raw_server(good, greet=lambda conn, _: conn.sendall(b"HTTP/1.1 400 no\r\n\r\n")) as server:
        url = server.url.replace("http://", "https://")
        with client_for(url) as client:
            error = outcome_of(client)
    assert isinstance(error, NotSent)
    assert error.code == "TLS_FAILED"


def test_a_handshake_that_hangs_ends_with_the_connect_timeout() -> None:
    """A server that accepts and says nothing is not waited for."""
    with raw_server(good, greet=lambda *_: time.sleep(1)) as server:
        url = server.url.replace("http://", "https://")
        with client_for(url, connect_timeout_s=0.2) as client:
            assert isinstance(outcome_of(client), NotSent)


def test_a_reset_before_the_request_was_sent_is_not_sent() -> None:
    """A large request that breaks off halfway can't have been charged."""
    patient = {"connect_timeout_s": 30.0, "total_timeout_s": 60.0}  # a busy machine is no reset
    with (
        serving(good, greet=lambda conn, _: reset(conn), **patient) as (client, _),
        pytest.raises(NotSent) as caught,
    ):
        client.send({**WIRE, "init_image": "A" * 20_000_000})
    # A busy machine may be late even to connect; either way nothing was sent whole.
    assert caught.value.code in {"CONNECTION_LOST", "CONNECT_TIMEOUT"}


def test_a_reset_after_the_request_was_read_is_unknown() -> None:
    """The server had it all: it may have been charged."""
    with serving(lambda conn, _: reset(conn)) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, OutcomeUnknown)
    assert error.code == "CONNECTION_LOST"


def test_a_goodbye_instead_of_an_answer_is_unknown() -> None:
    """An orderly close says nothing about money either."""
    with serving(lambda conn, _: conn.shutdown(socket.SHUT_RDWR)) as (client, _):
        assert isinstance(outcome_of(client), OutcomeUnknown)


def test_what_is_not_http_is_unknown() -> None:
    """Gibberish after the request was sent leaves the money open."""
    with serving(lambda conn, _: conn.sendall(b"gibberish\r\n\r\n")) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, OutcomeUnknown)
    assert error.code in ("ANSWER_GARBLED", "CONNECTION_LOST")


def test_a_hang_ends_with_the_read_timeout() -> None:
    """Silence for longer than the read timeout is unknown."""
    with serving(lambda *_: time.sleep(1), read_timeout_s=0.2) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, OutcomeUnknown)
    assert error.code == "READ_TIMEOUT"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_trickle_ends_with_the_total_deadline(head: bytes) -> None:
    """A byte now and then renews nothing: while waiting, in the headers, in the body."""

    def trickle(conn: socket.socket, _: Seen) -> None:
        conn.sendall(head or b"HTTP/1.1 ")
        for _piece in range(40):
            time.sleep(0.05)
            conn.sendall(b"2")

    with serving(trickle, total_timeout_s=0.4) as (client, _):
        began = time.monotonic()
        error = outcome_of(client)
        assert time.monotonic() - began < 1.5
    assert isinstance(error, OutcomeUnknown)
    assert error.code == "CALL_DEADLINE"


def test_a_trickling_body_with_a_size_ends_with_the_total_deadline() -> None:
    """The deadline holds while the body is read, too."""

    def trickle(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
        for _piece in range(40):
            time.sleep(0.05)
            conn.sendall(b"{")

    with serving(trickle, total_timeout_s=0.4) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, OutcomeUnknown)
    assert error.code == "CALL_DEADLINE"


def test_a_deadline_does_not_cut_the_connections_next_call() -> None:
    """A kept connection outlives the deadline of a call that ended in time."""
    with serving(good, total_timeout_s=0.3) as (client, server):
        for _ in range(4):
            assert call(client).meaning is Meaning.RECEIVED
            time.sleep(0.15)
    assert server.accepted == 1


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_cut_short_is_unknown(chunked: bool) -> None:  # noqa: FBT001 - pytest passes by name
    """Half an answer is none, and the call may have been charged."""

    def script(conn: socket.socket, _: Seen) -> None:
        framing = (
            b"Transfer-Encoding: chunked\r\n\r\n64\r\n{"
            if chunked
            else (b"Content-Length: 100\r\n\r\n{")
        )
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + framing)
        conn.shutdown(socket.SHUT_RDWR)

    with serving(script) as (client, _):
        assert isinstance(outcome_of(client), OutcomeUnknown)


def test_a_failures_status_counts_though_its_body_is_cut_short() -> None:
    """A 500 is a 500, whatever becomes of its words."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nsorry")
        conn.shutdown(socket.SHUT_RDWR)

    with serving(script) as (client, _):
        assert call(client) == Verdict(Meaning.NOT_PAID, "HTTP_500", "sorry")


def test_an_answer_announced_too_large_is_not_read() -> None:
    """The announced size is enough to refuse it."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n")

    with serving(script) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, AnswerTooLarge)
    assert error.size_bytes == 99_999_999_999


@pytest.mark.parametrize("framing", ["close", "chunked", "gzip"])
def test_an_answer_that_only_keeps_coming_is_too_large(framing: str) -> None:
    """Without an announced size, or unpacked from a small one, the bound holds all the same."""

    def script(conn: socket.socket, _: Seen) -> None:
        if framing == "gzip":
            answer(conn, gzip.compress(b"[" * 3_000_000), "200 OK", "Content-Encoding: gzip")
            return
        kind = b"Transfer-Encoding: chunked" if framing == "chunked" else b"Connection: close"
        conn.sendall(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n")
        piece = b"[" * 65_536
        for _piece in range(40):
            conn.sendall(b"10000\r\n" + piece + b"\r\n" if framing == "chunked" else piece)

    with serving(script) as (client, _):
        assert isinstance(outcome_of(client), AnswerTooLarge)


@pytest.mark.parametrize("framing", ["close", "chunked", "gzip"])
def test_every_framing_of_a_good_answer_is_read(framing: str) -> None:
    """Chunked, until close, or packed though not asked for: the picture arrives."""
    body = json.dumps(GOOD).encode()

    def script(conn: socket.socket, _: Seen) -> None:
        if framing == "gzip":
            answer(conn, gzip.compress(body), "200 OK", "Content-Encoding: gzip")
        elif framing == "chunked":
            pieces = b"%x\r\n%b\r\n5\r\n     \r\n0\r\n\r\n" % (len(body), body)
            answer(conn, pieces, "200 OK", "Transfer-Encoding: chunked", length=False)
        else:
            answer(conn, body, "200 OK", "Connection: close", length=False)
            conn.shutdown(socket.SHUT_RDWR)

    with serving(script) as (client, _):
        assert call(client).meaning is Meaning.RECEIVED
        assert call(client).meaning is Meaning.RECEIVED


TEXT = json.dumps(GOOD).encode()
PACKED = gzip.compress(TEXT)
UNTIDY_FRAMING: dict[str, tuple[bytes, bytes]] = {
    "a length too long": (b"Content-Length: %d" % (len(TEXT) + 99), TEXT),
    "a length too short": (b"Content-Length: %d" % (len(TEXT) - 1), TEXT),
    "no last chunk": (b"Transfer-Encoding: chunked", b"%x\r\n%b\r\n" % (len(TEXT), TEXT)),
    "a chunk cut short": (b"Transfer-Encoding: chunked", b"%x\r\n%b" % (len(TEXT) + 9, TEXT)),
    "not packed, as it says": (b"Content-Encoding: gzip", TEXT),
    "packed in nobody's way": (b"Content-Encoding: best", TEXT),
    "packed without saying so": (b"Content-Type: application/json", PACKED),
    "packed, its end missing": (b"Content-Encoding: gzip", PACKED[:-4]),
    "packed, a length too long": (
        b"Content-Encoding: gzip\r\nContent-Length: %d" % (len(PACKED) + 9),
        PACKED,
    ),
}


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created"])
@pytest.mark.parametrize("name", UNTIDY_FRAMING)
def test_a_whole_picture_in_an_untidy_frame_is_received(name: str, status: bytes) -> None:
    """HTTP around it is a wrapping, too; the next call's answer is its own."""
    header, body = UNTIDY_FRAMING[name]

    def script(conn: socket.socket, seen: Seen) -> None:
        if seen.body == b"{}":
            json_answer(conn, {"code": "NO_PROMPT"}, "400 Bad Request")
            return
        conn.sendall(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, header, body))
        if name != "a length too short":  # the client knows no end of the others
            conn.shutdown(socket.SHUT_RDWR)

    with serving(script) as (client, _):
        try:
            verdict = call(client)
        except OutcomeUnknown as error:
            verdict = judge(error)
        assert [png.data for png in verdict.images] == [picture()]
        assert client.check_key().code == "NO_PROMPT"


def test_a_picture_cut_short_with_its_answer_is_of_unknown_outcome() -> None:
    """What came of it is kept, and holds no picture."""

    def script(conn: socket.socket, _: Seen) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(TEXT) + TEXT[:60])
        conn.shutdown(socket.SHUT_RDWR)

    with serving(script) as (client, _):
        error = outcome_of(client)
    assert isinstance(error, OutcomeUnknown)
    assert error.received == TEXT[:60]
    verdict = judge(error)
    assert (verdict.meaning, verdict.is_foreign) == (Meaning.UNKNOWN, False)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Again", "308 There"])
def test_a_redirect_is_not_followed(status: str) -> None:
    """A 307 would post, and pay, a second time."""

    def script(conn: socket.socket, seen: Seen) -> None:
        answer(conn, b"x" * 200_000, status, f"Location: http://{seen.headers['host']}/other")

    with serving(script) as (client, server):
        assert call(client).meaning is Meaning.NOT_THE_API
    assert len(server.seen) == 1


@pytest.mark.parametrize("status", ["429 Slow", "500 Oops", "503 Busy", "504 Late"])
def test_nothing_is_ever_sent_twice(status: str) -> None:
    """No layer underneath retries on its own."""

    def script(conn: socket.socket, _: Seen) -> None:
        answer(conn, b"", status, "Retry-After: 0")

    with serving(script) as (client, server):
        call(client)
    assert len(server.seen) == 1


def test_a_key_that_a_failure_quotes_is_blotted_out() -> None:
    """A server that repeats the key does not get it into our table."""

    def script(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, {"message": f"unknown key {KEY}"}, "401 Unauthorized")

    with serving(script) as (client, _):
        assert call(client).message == "unknown key ***"


def test_cookies_are_not_kept() -> None:
    """One job's answer leaves nothing for the next job's request."""

    def script(conn: socket.socket, _: Seen) -> None:
        answer(conn, json.dumps(GOOD).encode(), "200 OK", "Set-Cookie: a=b")

    with serving(script) as (client, server):
        call(client)
        call(client)
    assert "cookie" not in server.seen[1].headers


def test_many_threads_share_one_client() -> None:
    """Sixty calls at once each get their own answer; connections beyond the pool are no error."""

    def script(conn: socket.socket, seen: Seen) -> None:
        time.sleep(0.2)
        json_answer(conn, {"message": json.loads(seen.body)["prompt"]}, "400 Bad Request")

    messages: list[str] = []

    def one(number: int) -> None:
        with client.send({"prompt": f"fox {number}"}) as pending:
            messages.append(judge(Answer(pending.status, {}, pending.read())).message)

    with serving(script) as (client, server):
        threads = [threading.Thread(target=one, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(messages) == sorted(f"fox {number}" for number in range(60))
    assert len(server.seen) == 60


def test_a_request_that_is_no_json_is_not_sent() -> None:
    """A request that cannot be written is reported before anything is sent."""
    with serving(good) as (client, server), pytest.raises(NotSent):
        client.send({"prompt": "\ud800"})
    assert (server.accepted, server.seen) == (is_later, [])


@pytest.mark.parametrize(
    ("status", "meaning"),
    [("400 Bad", Meaning.REFUSED), ("401 Who", Meaning.BLOCKED), ("404 No", Meaning.NOT_THE_API)],
)
def test_a_key_is_checked_without_asking_for_an_image(status: str, meaning: Meaning) -> None:
    """The probe has no prompt, so it can't be charged."""

    def script(conn: socket.socket, _: Seen) -> None:
        json_answer(conn, {}, status)

    with serving(script) as (client, server):
        assert client.check_key().meaning is meaning
    assert json.loads(server.seen[0].body) == {}


def test_a_key_check_that_fails_is_a_verdict_too() -> None:
    """If no server listens, a verdict is returned; nothing is raised."""
    with client_for("http://127.0.0.1:9/") as client:
        assert client.check_key().meaning is Meaning.NOT_PAID


@pytest.mark.parametrize("key", ["", "a b", "a\n", "\x00", "schlüssel"])
def test_a_key_no_header_can_carry_is_refused_unquoted(key: str) -> None:
    """A newline copied with the key is reported at once, without repeating the key."""
    with pytest.raises(ValueError, match="printable ASCII"):
        client_for("http://127.0.0.1:9/", api_key=key)


@pytest.mark.parametrize("url", ["", "playground.com/api", "ftp://x/", "http://", "https:///v1"])
def test_an_address_that_is_not_http_is_refused(url: str) -> None:
    """A typo in a setting is reported before the first call."""
    with pytest.raises(ValueError, match="must begin with"):
        client_for(url)


def test_the_repr_tells_no_key() -> None:
    """A client in a log line keeps its secret."""
    with client_for("https://u:p@api.invalid/v1?token=t") as client:
        assert repr(client) == "PlaygroundClient(api.invalid:443, key set)"
