"""What a webhook may cost: statements and round trips on the wire, connections to its receiver.

What depends on how quick the machine is, the length of a thread's run and the gathering of results,
is made to last. Nothing else uses this database.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from benchmarks.figures.wiretap import Wiretap, tapped
from storage.db.database import Database
from storage.jobs.cancel import ask_cancel
from storage.records.delivery import DeliveryState
from storage.webhooks.log import DeliveryFilter, list_deliveries
from storage.webhooks.record_attempts import Recorded, record_attempts
from tasks.webhooks.addresses.address_guard import AddressGuard
from tasks.webhooks.attempt import DeliveryAttempt
from tasks.webhooks.loop.delivery_loop import DeliveryLoop
from tasks.webhooks.sending.sender import Sender
from tests.playground.raw_server import answer, raw_server
from tests.storage.table import TableUnderTest
from tests.tasks.webhooks.loop.test_deliverer import NoTasks
from tests.tasks.webhooks.receivers import LOOPBACK, SECRET

DELIVERIES = 81  # in three rounds: 1 thread of one, 2 threads of 16 each, 3 of 16 each
WITHIN_S = 60

MOST_STATEMENTS = 0.25  # 0.19 measured: a look, a claim and one or two records in each round
MOST_CONNECTIONS = 3  # one for each thread


@pytest.fixture
def tap(new_migrated_postgres_url: str) -> Iterator[tuple[Wiretap, str]]:
    """A wiretap before a migrated database."""
    with tapped(new_migrated_postgres_url) as found:
        yield found


@pytest.fixture
def loop(tap: tuple[Wiretap, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[DeliveryLoop]:
    """A worker's delivery loop."""
    monkeypatch.setattr("tasks.webhooks.loop.receiver_limits.QUICK_S", 3600.0)
    monkeypatch.setattr("tasks.webhooks.loop.receiver_limits.RUN_S", float(10**6))
    monkeypatch.setattr("tasks.webhooks.loop.delivery_loop.SECRETS_FOR_S", 3600.0)
    database = Database(tap[1])
    sender = Sender(AddressGuard(allowed=LOOPBACK))
    attempt = DeliveryAttempt(sender, NoTasks(), default_secret=SECRET)
    made = DeliveryLoop(database, attempt.send, threads=32, lease_s=3600, keep_s=3600)

    def record(db: Database, attempts: Sequence[Any]) -> Recorded:
        assert made._limits.wait_until_free(WITHIN_S)
        return record_attempts(db, attempts)

    monkeypatch.setattr("tasks.webhooks.loop.attempt_records.record_attempts", record)
    yield made
    database.close()


@pytest.mark.enable_socket
def test_webhooks_to_one_receiver_share_statements_and_connections(
    request: pytest.FixtureRequest,
    tap: tuple[Wiretap, str],
    loop: DeliveryLoop,
    new_migrated_postgres_url: str,
) -> None:
    """A claim serves several threads, a record several claims, a connection all of a thread."""
    wire, _ = tap
    database = Database(new_migrated_postgres_url)
    request.addfinalizer(database.close)
    table = TableUnderTest(database)
    with raw_server(lambda conn, _: answer(conn, b"ok")) as receiver:
        for _ in range(DELIVERIES):
            ask_cancel(table.db, table.accept(callback_url=f"http://127.0.0.1:{receiver.port}/"))
        while loop.round():
            assert loop.wait_until_idle(WITHIN_S)
    delivered = DeliveryFilter(states=frozenset({DeliveryState.DELIVERED}))
    assert len(list_deliveries(table.db, delivered, limit=DELIVERIES + 1)) == DELIVERIES
    assert len(receiver.seen) == DELIVERIES
    assert receiver.accepted <= MOST_CONNECTIONS
    assert 0 < wire.statements / DELIVERIES <= MOST_STATEMENTS
    assert wire.round_trips / DELIVERIES <= MOST_STATEMENTS
