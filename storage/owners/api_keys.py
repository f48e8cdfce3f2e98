"""Create, find and revoke API keys of the gateway; only the hash of a secret is stored.

The secret is 256 random bits, shown once when the key is created. Its plain SHA-256 is stored. Slow
hashes protect passwords, which people choose and attackers guess. 256 random bits cannot be
guessed, and a fast hash allows a check of every request. Looking a hash up in an index leaks no
secret either. An attacker who measures the time learns about the hash, and cannot choose what
hashes to it.

What a scope allows is decided by the gateway; here it is a string.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, insert, or_, select, update
from uuid_utils.compat import uuid7

from storage.db.database import Database
from storage.schema.clock import now
from storage.schema.day import today

SECRET_PREFIX = "drk_"  # noqa: S105 - scanners of leaked secrets, and people, recognise it by this
"""The prefix of every secret."""

_SECRET_BYTES = 32
_SECRET = re.compile(re.escape(SECRET_PREFIX) + r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key's row, without the hash: nothing here allows the use of the key.

    Attributes:
        id: For people and commands; no secret.
        owner: The owner whose jobs it submits and sees.
        name: A person's note on where it is used.
        scopes: What it allows.
        created_at: When it was created.
        last_used_day: The last day (UTC, `YYYY-MM-DD`) it was used on, if ever.
        used_today: Whether that day is today.
        revoked_at: When it was revoked, if ever.
    """

    id: UUID
    owner: str
    name: str | None
    scopes: frozenset[str]
    created_at: datetime
    last_used_day: str | None
    used_today: bool
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just created: the only object that ever has its secret.

    Attributes:
        key: The row.
        secret: To be shown once and then dropped; left out of `repr`.
    """

    key: ApiKey
    secret: str = field(repr=False)


def create_key(
    db: Database, *, owner: str, scopes: Collection[str], name: str | None = None
) -> NewKey:
    """Create a key.

    Args:
        db: The results table.
        owner: The owner whose jobs it submits and sees.
        scopes: What it allows; at least one.
        name: A note for people.

    Returns:
        The key with its secret.

    Raises:
        ValueError: No scope: the key would be of no use.
        RecordRefused: A value no row can hold.
        DatabaseUnavailable: Call again; a key whose secret was never shown cannot be used.
    """
    if not scopes:
        raise ValueError("a key without a scope")
    secret = SECRET_PREFIX + secrets.token_urlsafe(_SECRET_BYTES)
    values = {
        "id": uuid7(),
        "owner": owner,
        "name": name,
        "secret_hash": _hash(secret),
        "scopes": sorted(scopes),
    }
    statement = insert(db.tables.api_keys).returning(*_facts(db))
    with db.statement() as connection:
        row = connection.execute(statement, values).mappings().one()
    return NewKey(_key(row), secret)


def find_key(db: Database, secret: str) -> ApiKey | None:
    """Return the key of this secret; None if the secret is wrong, malformed or revoked.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    if not _SECRET.fullmatch(secret):
        return None
    keys = db.tables.api_keys
    same = select(*_facts(db)).where(
        keys.c.secret_hash == _hash(secret), keys.c.revoked_at.is_(None)
    )
    with db.read() as connection:
        row = connection.execute(same).mappings().first()
    return None if row is None else _key(row)


def note_key_used(db: Database, key_id: UUID) -> bool:
    """Record that a key is used today, unless that is recorded already.

    Returns:
        Whether this was the first time today.

    Raises:
        DatabaseUnavailable: Not recorded; the next use will be.
    """
    keys = db.tables.api_keys
    not_yet = or_(keys.c.last_used_day.is_(None), keys.c.last_used_day < today(db.tables))
    note = update(keys).where(keys.c.id == key_id, not_yet).values(last_used_day=today(db.tables))
    with db.statement() as connection:
        return connection.execute(note).rowcount == 1


def list_keys(db: Database, *, owner: str | None = None) -> list[ApiKey]:
    """Return all keys, newest first, including revoked ones.

    Args:
        db: The results table.
        owner: Only this owner's.

    Raises:
        DatabaseUnavailable: Call again.
    """
    keys = db.tables.api_keys
    newest = select(*_facts(db)).order_by(keys.c.created_at.desc(), keys.c.id.desc())
    if owner is not None:
        newest = newest.where(keys.c.owner == owner)
    with db.read() as connection:
        return [_key(row) for row in connection.execute(newest).mappings()]


def revoke_key(db: Database, key_id: UUID) -> ApiKey | None:
    """Revoke a key permanently; repeating it changes nothing.

    Returns:
        The key as it is now; None if no key has this id.

    Raises:
        DatabaseUnavailable: It is unknown whether it was revoked: call again.
    """
    keys = db.tables.api_keys
    ended = update(keys).where(keys.c.id == key_id)
    ended = ended.values(revoked_at=func.coalesce(keys.c.revoked_at, now()))
    with db.statement() as connection:
        row = connection.execute(ended.returning(*_facts(db))).mappings().first()
    return None if row is None else _key(row)


def any_keys(db: Database) -> bool:
    """Return whether a key was ever created.

    A revoked one counts: if keys are in use, revoking the last must close access, not open it.

    Raises:
        DatabaseUnavailable: Unknown; call again.
    """
    with db.read() as connection:
        return connection.scalar(select(db.tables.api_keys.c.id).limit(1)) is not None


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _facts(db: Database) -> list[ColumnElement[Any]]:
    keys = db.tables.api_keys
    shown = [column for column in keys.c if column.name != "secret_hash"]
    used_today = func.coalesce(keys.c.last_used_day == today(db.tables), False)
    return [*shown, used_today.label("used_today")]


def _key(row: Mapping[Any, Any]) -> ApiKey:
    values = dict(row)
    scopes, used_today = frozenset(values.pop("scopes")), bool(values.pop("used_today"))
    return ApiKey(**values, scopes=scopes, used_today=used_today)
