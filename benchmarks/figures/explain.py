"""Explain the plan of each statement that the product sends to PostgreSQL.

Each is first run under EXPLAIN ANALYZE in a transaction that is rolled back, on the same connection
and with the same parameters. Then it is executed normally.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event

__all__ = ["Plans", "explained"]

EXPLAIN = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
PLANNED = ("SELECT", "UPDATE", "INSERT", "DELETE", "WITH")
#: The table that grows with the jobs; the others have a row per batch, worker, owner or fleet here.
GROWING = {"jobs"}
READ = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


@dataclass(slots=True)
class Plans:
    """The totals of one step's statements.

    Attributes:
        statements: how many were sent.
        rows_read: rows that scans read, whether they kept them or not.
        pages: of 8 kB, touched in memory or read from disk.
        scans: sentences, one per growing table that was scanned completely.
    """

    statements: int = 0
    rows_read: float = 0
    pages: int = 0
    scans: list[str] = field(default_factory=list)

    def add(self, plan: dict[str, Any]) -> None:
        """Count a statement's plan."""
        self.statements += 1
        self.pages += plan.get("Shared Hit Blocks", 0) + plan.get("Shared Read Blocks", 0)
        for node in _nodes(plan):
            if "Scan" in node["Node Type"] and "Relation Name" in node:
                self.rows_read += sum(node.get(name, 0) for name in READ) * node["Actual Loops"]
            if node["Node Type"] == "Seq Scan" and node["Relation Name"] in GROWING:
                self.scans.append(f"{node['Node Type']} on {node['Relation Name']}")


@contextmanager
def explained() -> Iterator[Plans]:
    """Explain every statement that is sent in this block, by any engine of this process."""
    plans = Plans()

    def explain(
        connection: Connection,
        _cursor: object,
        statement: str,
        parameters: Any,
        _context: object,
        many: bool,  # noqa: FBT001
    ) -> None:
        driver = connection.connection.driver_connection
        if many or not statement.startswith(PLANNED) or not isinstance(driver, psycopg.Connection):
            return
        with driver.transaction(force_rollback=True), driver.cursor() as cursor:
            found = cursor.execute(EXPLAIN + statement.encode(), parameters).fetchone()
        plans.add(found[0][0]["Plan"] if found else {})

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
