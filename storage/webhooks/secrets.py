"""Store callback secrets, which sign an owner's webhooks.

They are stored in plain text, unlike API keys, because signing needs the secret itself. So anyone
who can read this table can sign as Darkroom. An owner has one, or two while one replaces the other.
Then both sign, and receivers change over at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection, delete, insert, select
from uuid_utils.compat import uuid7

from storage.db.database import Database

MAX_SECRETS = 2


def signing_secrets(db: Database, owners: Sequence[str]) -> dict[str, list[str]]:
    """Return several owners' secrets, the newest first; an owner without one has an empty list.

    Raises:
        DatabaseUnavailable: Call again.
    """
    secrets = db.tables.callback_secrets
    theirs = select(secrets.c.owner, secrets.c.secret).where(secrets.c.owner.in_(list(owners)))
    newest = theirs.order_by(secrets.c.created_at.desc(), secrets.c.id.desc())
    found: dict[str, list[str]] = {owner: [] for owner in owners}
    with db.read() as connection:
        for row in connection.execute(newest):
            if len(found[row.owner]) < MAX_SECRETS:
                found[row.owner].append(row.secret)
    return found


def add_secret(db: Database, owner: str, secret: str, *, most: int) -> bool:
    """Add a secret to an owner.

    Args:
        db: The results table.
        owner: The owner.
        secret: In the form that signs.
        most: How many the owner may have afterwards.

    Returns:
        Whether it was added; False if the owner has that many already.

    Raises:
        DatabaseUnavailable: Call again; a secret that was never shown cannot be used.
    """
    secrets = db.tables.callback_secrets
    with db.begin() as connection:
        if len(_newest(db, connection, owner)) >= most:
            return False
        values = {"id": uuid7(), "owner": owner, "secret": secret}
        connection.execute(insert(secrets), values)
    return True


def drop_old_secrets(db: Database, owner: str) -> int:
    """Delete all of an owner's secrets but the newest.

    Returns:
        How many were deleted.

    Raises:
        DatabaseUnavailable: Call again.
    """
    secrets = db.tables.callback_secrets
    with db.begin() as connection:
        old = [secret_id for secret_id, _ in _newest(db, connection, owner)[1:]]
        connection.execute(delete(secrets).where(secrets.c.id.in_(old)))
    return len(old)


def _newest(db: Database, connection: Connection, owner: str) -> list[tuple[UUID, str]]:
    secrets = db.tables.callback_secrets
    mine = select(secrets.c.id, secrets.c.secret).where(secrets.c.owner == owner)
    newest = mine.order_by(secrets.c.created_at.desc(), secrets.c.id.desc())
    return [(row.id, row.secret) for row in connection.execute(newest)]
