"""Count how many more jobs owners may have queued, in the transaction that inserts them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, Text, bindparam, select

from storage.dispatch.backlog import count_queued_within
from storage.schema.tables import Tables

__all__ = ["count_allowances"]


def count_allowances(
    tables: Tables, connection: Connection, max_queued: Mapping[str, int]
) -> dict[str, int]:
    """Return how many more jobs each owner may have queued; lock the owners' rows.

    A concurrent group that counts the same owner waits for this transaction to end.

    Args:
        tables: Of the connection's database.
        connection: A write transaction.
        max_queued: Limits by owner.
    """
    owners = tables.owners
    if max_queued and not tables.is_sqlite:  # SQLite: the only writer
        among = owners.c.name.in_(bindparam("owners", type_=Text()))
        named = select(owners.c.name).where(among).order_by(owners.c.name)
        connection.execute(named.with_for_update(key_share=True), {"owners": list(max_queued)})
    return {
        owner: max(0, most - count_queued_within(tables, connection, owner, most))
        for owner, most in max_queued.items()
    }
