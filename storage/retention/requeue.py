"""Requeue objects that could not be deleted, and set the time of the next try.

An unavailable bucket delays all objects alike. An object whose deletion was refused has its own
wait, longer with each try, and delays no other. An object that was claimed but not tried returns to
its state before the claim.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Text,
    Update,
    bindparam,
    case,
    literal,
    null,
    update,
)

from storage.db.database import Database
from storage.records.job import clean_text
from storage.schema.clock import after, seconds_param
from storage.schema.tables import Tables

_MAX_ERROR_CHARS: Final = 500
_MOST_DOUBLINGS: Final = 16


def requeue_deletions(
    db: Database, keys: Sequence[str], *, error: str | None, delay_s: float
) -> None:
    """Requeue objects that could not be deleted or were not tried, to be tried again later.

    Args:
        db: The results table.
        keys: Of objects that were claimed.
        error: Why they could not be deleted; None if they were not tried, which counts as no try.
        delay_s: Seconds until the next try.

    Raises:
        DatabaseUnavailable: Call again; else they are tried again when the claim expires.
    """
    if keys:
        bounds = {"keys": list(keys), "delay_s": delay_s}
        if error is not None:
            bounds["why"] = _cut(error)
        statement = _untouched(db.tables) if error is None else _failed(db.tables)
        with db.statement() as connection:
            connection.execute(statement, bounds)


def requeue_refused(
    db: Database, whys: Mapping[str, str], *, first_wait_s: float, longest_wait_s: float
) -> None:
    """Requeue objects whose deletion the bucket refused, each with its own reason.

    A refusal lasts until a person changes its cause.

    Args:
        db: The results table.
        whys: The bucket's reason for each.
        first_wait_s: Half the longest wait after the first try; doubled by each try.
        longest_wait_s: Upper bound of the wait, however many tries.

    Raises:
        DatabaseUnavailable: Call again; else they are tried again when the claim expires.
    """
    if whys:
        waits = {"first_wait_s": first_wait_s, "longest_wait_s": longest_wait_s}
        rows = [
            {"of_key": key, "why": _cut(why), "spread": random.uniform(0.5, 1.0), **waits}  # noqa: S311 - spreads tries, guards nothing
            for key, why in sorted(whys.items())
        ]
        with db.begin() as connection:
            connection.execute(_refused(db.tables), rows)


def _cut(error: str) -> str:
    return clean_text(error)[:_MAX_ERROR_CHARS]


def _later(delay_s: ColumnElement[Any]) -> dict[str, Any]:
    return {"busy_until": null(), "due_at": after(delay_s)}


def _among(tables: Tables) -> ColumnElement[bool]:
    return tables.doomed_objects.c.key.in_(bindparam("keys", type_=Text()))


def _why() -> ColumnElement[Any]:
    return bindparam("why", type_=Text())


@cache
def _failed(tables: Tables) -> Update:
    later = _later(seconds_param("delay_s"))
    return update(tables.doomed_objects).where(_among(tables)).values({**later, "error": _why()})


@cache
def _untouched(tables: Tables) -> Update:
    doomed = tables.doomed_objects
    later = _later(seconds_param("delay_s"))
    return update(doomed).where(_among(tables)).values({**later, "tries": doomed.c.tries - 1})


@cache
def _refused(tables: Tables) -> Update:
    doomed = tables.doomed_objects
    longest = seconds_param("longest_wait_s")
    doublings = case((doomed.c.tries > _MOST_DOUBLINGS, _MOST_DOUBLINGS), else_=doomed.c.tries)
    wait = seconds_param("first_wait_s") * literal(1).bitwise_lshift(doublings)
    shorter = case((wait > longest, longest), else_=wait)
    later = _later(shorter * seconds_param("spread"))
    one = update(doomed).where(doomed.c.key == bindparam("of_key"))
    return one.values({**later, "error": _why()})
