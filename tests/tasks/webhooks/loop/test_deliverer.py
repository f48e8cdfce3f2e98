"""Deliveries over real sockets and a real table: sent once, fairly, whatever happens meanwhile."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook

from storage.db.database import Database
from storage.errors import DatabaseUnavailable
from storage.jobs.cancel import ask_cancel
from storage.records.delivery import ClaimedDelivery, Delivery, DeliveryState
from storage.webhooks.log import delivery_log, latest_delivery
from storage.webhooks.record_attempts import Recorded, Verdict, record_attempts
from storage.webhooks.replay import replay_deliveries
from storage.webhooks.secrets import add_secret
from tasks.webhooks.addresses.address_guard import AddressGuard
from tasks.webhooks.attempt import DeliveryAttempt
from tasks.webhooks.loop.delivery_loop import DeliveryLoop
from tasks.webhooks.on_end.callback_target import OnEnd
from tasks.webhooks.on_end.task_callback import TaskCallback
from tasks.webhooks.sending.sender import Sender
from tasks.webhooks.sending.signature import new_secret
from tests.playground.raw_server import Seen, answer, raw_server, reset
from tests.storage.table import TableUnderTest
from tests.tasks.webhooks.receivers import LOOPBACK
from tests.waiting import wait_until

pytestmark = pytest.mark.enable_socket

WITHIN_S = 30
Script = Callable[[socket.socket, Seen], None]


class NoTasks(TaskCallback):
    """For tests without a broker."""

    def __init__(self) -> None:
        pass


@pytest.fixture
def lite(migrated_sqlite_url: str) -> Iterator[TableUnderTest]:
    """A table on SQLite, where the database makes no difference to the claim."""
    database = Database(migrated_sqlite_url)
    yield TableUnderTest(database)
    database.close()


def attempt(*, default_secret: str | None = None, total_s: float = 10.0) -> DeliveryAttempt:
    """Makes attempts that may go to this machine."""
    sender = Sender(AddressGuard(allowed=LOOPBACK), total_timeout_s=total_s)
    return DeliveryAttempt(sender, NoTasks(), default_secret=default_secret)


def deliverer(
    table: TableUnderTest,
    make: Callable[[ClaimedDelivery, Sequence[str]], Verdict] | None = None,
    *,
    threads: int = 8,
    lease_s: float = 30.0,
    keep_s: float = 600.0,
) -> DeliveryLoop:
    """One worker's deliverer."""
    return DeliveryLoop(
        table.db, make or attempt().send, threads=threads, lease_s=lease_s, keep_s=keep_s
    )


@contextmanager
def running(one: DeliveryLoop) -> Iterator[None]:
    """Let a deliverer work on a thread."""
    one.loop.start()
    try:
        yield
    finally:
        one.loop.stop(timeout_s=WITHIN_S)


def says(status: str, *headers: str, body: bytes = b"") -> Script:
    """A receiver that answers properly."""
    return lambda conn, _: answer(conn, body, status, *headers)


def ended(table: TableUnderTest, url: str, owner: str = "ada") -> UUID:
    """Return the id of a job that has ended, with a URL to notify."""
    job_id = table.accept(owner=owner, callback_url=url)
    ask_cancel(table.db, job_id)
    return job_id


def once(table: TableUnderTest, **how: float) -> None:
    """Make attempts until nothing is due."""
    one = deliverer(table, attempt().send, **how)  # type: ignore[arg-type]
    while one.round():
        assert one.wait_until_idle(WITHIN_S)


def make_due(table: TableUnderTest) -> None:
    """Let the wait before the next attempt be over, or the claim of a dead worker."""
    rows = table.db.tables.deliveries
    pending = update(rows).where(rows.c.state == "pending")
    with table.db.begin() as connection:
        connection.execute(pending.values(next_attempt_at=rows.c.created_at))


def told(table: TableUnderTest, job_id: UUID) -> Delivery:
    """The job's delivery."""
    found = latest_delivery(table.db, job_id=job_id)
    assert found is not None
    return found


@pytest.fixture
def signed(lite: TableUnderTest) -> str:
    """Ada's secret."""
    secret = new_secret()
    add_secret(lite.db, "ada", secret, most=1)
    return secret


def test_the_end_of_a_job_arrives_signed(lite: TableUnderTest, signed: str) -> None:
    """Under its delivery's id, with both secrets while they change; the same bytes each time."""
    newer = new_secret()
    add_secret(lite.db, "ada", newer, most=2)
    answers = iter(["500 Oops", "200 OK"])
    with raw_server(lambda conn, _: answer(conn, b"hm", next(answers))) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/done?x=1")
        once(lite)
        first = told(lite, job_id)
        assert (first.state, first.attempts, first.last_status) == ("pending", 1, 500)
        once(lite)
        assert len(server.seen) == 1, "not due before its time"
        make_due(lite)
        once(lite)
    one, two = server.seen
    assert one.line == "POST /done?x=1 HTTP/1.1"
    assert one.body == two.body
    assert {one.headers["webhook-id"], two.headers["webhook-id"]} == {str(first.id)}
    for secret in (signed, newer):
        event = Webhook(secret).verify(two.body, two.headers)
        assert event["data"]["id"] == str(job_id)
    done = told(lite, job_id)
    assert (done.state, done.attempts, done.last_status) == ("delivered", 2, 200)
    log = delivery_log(lite.db, done.id)
    assert [(line.status, line.answer) for line in log] == [(500, "hm"), (200, "hm")]


def test_nothing_is_sent_unsigned(lite: TableUnderTest) -> None:
    """Without any secret it waits, and says so; the default one signs for an owner without one."""
    with raw_server(says("200 OK")) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/")
        once(lite)
        waiting = told(lite, job_id)
        assert (waiting.state, waiting.last_error) == ("pending", "NO_SECRET")
        assert not server.accepted
        make_due(lite)
        secret = new_secret()
        one = deliverer(lite, attempt(default_secret=secret).send)
        one.round()
        assert one.wait_until_idle(WITHIN_S)
    (seen,) = server.seen
    Webhook(secret).verify(seen.body, seen.headers)


def test_410_shuts_the_address_until_somebody_replays(lite: TableUnderTest, signed: str) -> None:
    """What else is on its way there is not sent, and another address of the owner's is."""
    assert signed
    answers = iter(["410 Gone", "200 OK", "200 OK"])
    with raw_server(lambda conn, _: answer(conn, b"", next(answers))) as server:
        url = f"http://127.0.0.1:{server.port}/gone"
        first = ended(lite, url)
        once(lite)
        second, other = ended(lite, url), ended(lite, f"{url}/not")
        once(lite)
        states = [told(lite, each).state for each in (first, second, other)]
        assert states == ["disabled", "disabled", "delivered"]
        assert [each.line.split()[1] for each in server.seen] == ["/gone", "/gone/not"]
        replay_deliveries(lite.db, [told(lite, second).id])
        once(lite)
    assert told(lite, second).state is DeliveryState.DELIVERED


def test_a_receiver_says_how_long_to_wait(lite: TableUnderTest, signed: str) -> None:
    """`Retry-After` is longer than the schedule's first wait, so it counts."""
    assert signed
    with raw_server(says("503 Busy", "Retry-After: 3600")) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/")
        once(lite)
    delivery = told(lite, job_id)
    assert delivery.next_attempt_at is not None
    wait_s = (delivery.next_attempt_at - delivery.created_at).total_seconds()
    assert 3600 <= wait_s <= 3600 * 1.2 + WITHIN_S


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda conn, _: reset(conn), "CONNECTION_LOST"),
        (lambda conn, _: conn.sendall(b"what?\r\n\r\n"), "ANSWER_GARBLED"),
        (lambda conn, _: conn.recv(1), "TIMEOUT"),
        (says("302 Found", "Location: http://127.0.0.1/"), None),
        (says("200 OK", body=b"x" * 5_000_000), None),
    ],
    ids=["reset", "garbled", "hangs", "redirects", "huge"],
)
def test_whatever_a_receiver_does_is_in_the_log(
    lite: TableUnderTest, signed: str, script: Script, error: str | None
) -> None:
    """And the delivery goes on, or has arrived."""
    assert signed
    with raw_server(script) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/")
        one = deliverer(lite, attempt(total_s=1.0 if error == "TIMEOUT" else 30.0).send)
        one.round()
        assert one.wait_until_idle(WITHIN_S)
    delivery = told(lite, job_id)
    (line,) = delivery_log(lite.db, delivery.id)
    assert line.error == error
    assert len(line.answer or "") <= 1024
    assert delivery.state in {"pending", "delivered"}


def test_two_workers_send_each_delivery_once(lite: TableUnderTest) -> None:
    """Rounds in step, over one table: no delivery is claimed by both."""
    sent: list[UUID] = []

    def note(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        sent.append(claimed.delivery.id)
        return Verdict(DeliveryState.DELIVERED, status=200)

    jobs = [ended(lite, "http://127.0.0.1:1/", owner=f"o{n % 5}") for n in range(30)]
    workers = [deliverer(lite, note) for _ in range(2)]
    for each in workers:
        each.loop.start()
    wait_until(lambda: all(told(lite, each).state == "delivered" for each in jobs))
    assert all(each.loop.stop(timeout_s=WITHIN_S) for each in workers)
    assert len(sent) == len(set(sent)) == len(jobs)


def test_a_dead_receiver_keeps_nobody_elses_threads(lite: TableUnderTest) -> None:
    """An owner with a dozen deliveries that hang has one of the threads."""
    release = threading.Event()
    under_way: list[str] = []

    def hang(claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        under_way.append(claimed.delivery.owner)
        if claimed.delivery.owner == "dead":
            release.wait(WITHIN_S)
        return Verdict(DeliveryState.DELIVERED, status=200)

    for _ in range(12):
        ended(lite, "http://127.0.0.1:1/", owner="dead")
    live = [ended(lite, "http://127.0.0.1:1/", owner="live") for _ in range(6)]
    worker = deliverer(lite, hang, threads=6)
    worker.loop.start()
    wait_until(lambda: all(told(lite, each).state == "delivered" for each in live))
    assert under_way.count("dead") == 1
    release.set()
    assert worker.loop.stop(timeout_s=WITHIN_S)
    assert worker.wait_until_idle(WITHIN_S)


def test_what_a_killed_worker_had_in_hand_is_sent_again(lite: TableUnderTest, signed: str) -> None:
    """Its claim runs out; the late answer of the one that was thought dead changes nothing."""
    assert signed
    entered, release = threading.Event(), threading.Event()

    def sleepy(_claimed: ClaimedDelivery, _secrets: Sequence[str]) -> Verdict:
        entered.set()
        release.wait(WITHIN_S)
        return Verdict(DeliveryState.FAILED, error="TIMEOUT")

    with raw_server(says("200 OK")) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/")
        stopped = deliverer(lite, sleepy)
        stopped.round()
        assert entered.wait(WITHIN_S)
        once(lite)
        assert not server.accepted, "it is claimed still"
        make_due(lite)
        once(lite)
        release.set()
        assert stopped.wait_until_idle(WITHIN_S)
    delivery = told(lite, job_id)
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    assert [line.number for line in delivery_log(lite.db, delivery.id)] == [2]


def test_a_database_that_is_away_in_mid_delivery_hears_of_it_later(
    lite: TableUnderTest, signed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What became of the attempt is kept in hand until it can be written down."""
    assert signed
    away = iter([True, True])

    def sometimes(*args: Any) -> Recorded:
        if next(away, False):
            raise DatabaseUnavailable("the database is away")
        return record_attempts(*args)

    with raw_server(says("200 OK")) as server:
        job_id = ended(lite, f"http://127.0.0.1:{server.port}/")
        monkeypatch.setattr("tasks.webhooks.loop.attempt_records.RECORD_AGAIN_S", 0.01)
        monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", sometimes)
        one = deliverer(lite)
        one.round()
        assert one.wait_until_idle(WITHIN_S)
    assert told(lite, job_id).state is DeliveryState.DELIVERED
    assert len(server.seen) == 1


def test_a_fault_nobody_foresaw_ends_no_deliveries(
    lite: TableUnderTest, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A process that may have no more threads waits, with all its room, and delivers later."""
    start, may_start = threading.Thread.start, threading.Event()

    def start_if_it_may(thread: threading.Thread) -> None:
        if thread.name == "delivery" and not may_start.is_set():
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_if_it_may)
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.FAULT_WAIT_S", 0.01)
    job_id = ended(lite, "http://127.0.0.1:1/")
    one = deliverer(lite, lambda *_: Verdict(DeliveryState.DELIVERED, status=200))
    with running(one):
        wait_until(lambda: "a round of deliveries failed" in caplog.text)
        assert one.wait_until_idle(WITHIN_S), "what was not begun is not under way"
        may_start.set()
        make_due(lite)
        wait_until(lambda: told(lite, job_id).state is DeliveryState.DELIVERED)


def test_what_is_old_is_swept_while_deliveries_go_on(
    lite: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk of it between two looks at what is due, however much there is, until none is left."""
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.SWEEP_ROWS", 2)
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.SWEEP_AGAIN_S", 3600.0)
    old = [ended(lite, "http://127.0.0.1:1/") for _ in range(5)]
    worker = deliverer(lite, lambda *_: Verdict(DeliveryState.DELIVERED, status=200), keep_s=-600.0)
    while worker.round():
        assert worker.wait_until_idle(WITHIN_S)

    def left() -> int:
        return sum(latest_delivery(lite.db, job_id=each) is not None for each in old)

    with running(worker):
        wait_until(lambda: left() == 3)
        new = ended(lite, "http://127.0.0.1:1/")
        wait_until(lambda: told(lite, new).state is DeliveryState.DELIVERED)
        assert left() == 3
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.SWEEP_AGAIN_S", 0.0)
    with running(deliverer(lite, keep_s=-600.0)):
        wait_until(lambda: latest_delivery(lite.db, job_id=new) is None)
    assert left() == 0


def test_a_task_of_our_own_is_never_sent() -> None:
    """Neither by name nor by queue, however it is spelt."""
    for task, queue in (("darkroom.submit", "q"), ("t", "darkroom.submit"), ("Darkroom.X", "q")):
        with pytest.raises(ValueError, match="own"):
            OnEnd(task=task, queue=queue)
