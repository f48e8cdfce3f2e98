"""No question about deliveries reads all of them, however many are due or done."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from sqlalchemy import ColumnElement, Text, case, cast, event, insert, literal, null, select

from storage.db.database import Database
from storage.db.keyset import Cursor
from storage.queries.filter import database_time
from storage.records.delivery import DeliveryState
from storage.webhooks.due_receivers import owners_due
from storage.webhooks.log import (
    UNDELIVERED,
    DeliveryFilter,
    delivery_log,
    latest_delivery,
    list_deliveries,
    sweep_deliveries,
)
from storage.webhooks.replay import count_replays, replay_deliveries, walk_deliveries
from tests.storage.deliveries import record_attempt
from tests.storage.many_rows import insert_copies, random_id
from tests.storage.table import TableUnderTest
from tests.storage.webhooks.test_deliveries import LOST, URL, claim, ended

MANY = 20_000


def test_no_question_reads_all_deliveries(table: TableUnderTest) -> None:
    """With tens of thousands due or done, each statement's plan goes by an index."""
    asked: dict[str, Any] = {}

    def remember(
        _connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, many: Any
    ) -> None:
        if "deliver" in statement and not many and not statement.startswith("INSERT"):
            asked.setdefault(statement, parameters)

    db = table.db
    _fill(db)
    event.listen(db._engine, "before_cursor_execute", remember)
    _story(table)
    event.remove(db._engine, "before_cursor_execute", remember)
    assert len(asked) > 12
    word = "EXPLAIN" if db.dialect == "postgresql" else "EXPLAIN QUERY PLAN"
    for statement, values in asked.items():
        with db.read() as connection:
            rows = connection.exec_driver_sql(f"{word} {statement}", values).all()
        plan = "\n".join(str(row[-1]) for row in rows)
        assert "Seq Scan on deliver" not in plan, f"{statement}\n{plan}"
        for line in plan.splitlines():
            is_scan = line.startswith("SCAN darkroom_deliver")
            assert not is_scan or "USING" in line, f"{statement}\n{plan}"


def _fill(db: Database) -> None:
    """Half are due, half have ended; three owners."""
    rows, first, at = db.tables.deliveries, uuid4(), database_time(db)
    due = {"state": "pending", "next_attempt_at": at, "ended_at": None}
    facts = {"event": "job.failed", "target": URL, "body": "{}", "created_at": at}
    attempts = {"number": literal(1), "latency_ms": literal(1), "status": literal(200)}
    with db.begin() as connection:

        def change(n: ColumnElement[int]) -> Mapping[str, ColumnElement[Any]]:
            is_done = n % 2 == 1
            return {
                "job_id": random_id(connection),
                "owner": "o" + cast(n % 3, Text),
                "state": case((is_done, "delivered"), else_="pending"),
                "next_attempt_at": case((is_done, null()), else_=rows.c.next_attempt_at),
                "ended_at": case((is_done, rows.c.created_at), else_=null()),
            }

        connection.execute(
            insert(rows).values(**facts, **due, id=first, job_id=uuid4(), owner="o0")
        )
        insert_copies(connection, rows, first, MANY - 1, change)
        made = select(rows.c.id, *attempts.values())
        logged = insert(db.tables.delivery_attempts)
        connection.execute(logged.from_select(["delivery_id", *attempts], made))
        connection.exec_driver_sql("ANALYZE")


def _story(table: TableUnderTest) -> None:
    """Every question about deliveries, once."""
    db = table.db
    job_id = ended(table)
    owners_due(db, after_owner="", after_receivers={}, limit=5)
    (claimed, *_) = claim(db)
    record_attempt(db, claimed, LOST)
    latest_delivery(db, job_id=job_id)
    latest_delivery(db, batch_id=uuid4())
    delivery_log(db, claimed.delivery.id)
    page = list_deliveries(db, DeliveryFilter(), limit=3)
    list_deliveries(db, DeliveryFilter(), before=Cursor(page[-1].created_at, page[-1].id), limit=3)
    now = database_time(db)
    for meant in (
        DeliveryFilter(owner="ada"),
        DeliveryFilter(job_id=job_id),
        DeliveryFilter(batch_id=uuid4()),
        DeliveryFilter(states=UNDELIVERED),
        DeliveryFilter(owner="ada", states=UNDELIVERED),
        DeliveryFilter(states=frozenset({DeliveryState.FAILED})),
        DeliveryFilter(states=frozenset({DeliveryState.PENDING})),
        DeliveryFilter(owner="ada", states=frozenset({DeliveryState.PENDING})),
    ):
        list_deliveries(db, meant, limit=3)
        count_replays(db, meant, now)
        list(walk_deliveries(db, meant, now))
    replay_deliveries(db, [claimed.delivery.id])
    sweep_deliveries(db, ended_before_s=60, limit=10)
