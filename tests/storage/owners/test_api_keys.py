"""Keys are found by their secret alone, keep nothing of it, and die when they are revoked."""

import re
from hashlib import sha256
from uuid import uuid4

import pytest
from sqlalchemy import select, update

from storage.db.database import Database
from storage.errors import RecordRefused
from storage.owners.api_keys import (
    any_keys,
    create_key,
    find_key,
    list_keys,
    note_key_used,
    revoke_key,
)

SCOPES = {"submit", "read"}


def test_a_secret_finds_its_key_and_no_other_does(db: Database) -> None:
    """Whose it is and what it allows come back; another secret finds nothing."""
    made = create_key(db, owner="shop", scopes=SCOPES, name="till")
    create_key(db, owner="museum", scopes={"read"})
    found = find_key(db, made.secret)
    assert found == made.key
    assert (found.owner, found.scopes, found.name) == ("shop", frozenset(SCOPES), "till")
    last = "A" if made.secret[-1] != "A" else "B"
    assert find_key(db, made.secret[:-1] + last) is None


def test_a_secret_is_256_random_bits_in_letters_that_fit_a_header(db: Database) -> None:
    """With a prefix that scanners of leaked secrets can look for."""
    secrets = {create_key(db, owner="shop", scopes=SCOPES).secret for _ in range(20)}
    assert len(secrets) == 20
    assert all(re.fullmatch(r"drk_[A-Za-z0-9_-]{43}", secret) for secret in secrets)


def test_the_secret_is_kept_nowhere(db: Database) -> None:
    """Neither in the row, which has its hash, nor in what is printed of the objects."""
    made = create_key(db, owner="shop", scopes=SCOPES)
    with db.read() as connection:
        row = connection.execute(select(db.tables.api_keys)).mappings().one()
    assert row["secret_hash"] == sha256(made.secret.encode()).hexdigest()
    assert made.secret not in repr(dict(row)) + repr(made) + repr(find_key(db, made.secret))
    assert row["secret_hash"] not in repr(made)


def test_a_row_can_hold_no_secret_in_place_of_its_hash(db: Database) -> None:
    """Even typed by hand."""
    made, keys = create_key(db, owner="shop", scopes=SCOPES), db.tables.api_keys
    with pytest.raises(RecordRefused), db.begin() as connection:
        connection.execute(update(keys).values(secret_hash=made.secret))


@pytest.mark.parametrize(
    "secret",
    ["", "drk_", "drk_" + "a" * 42, "drk_" + "a" * 44, "drk_" + "é" * 43, "\ud800", "x" * 100_000],
)
def test_what_is_no_secret_finds_nothing(db: Database, secret: str) -> None:
    """Whatever a stranger sends in its place."""
    assert find_key(db, secret) is None


def test_a_revoked_key_is_worth_nothing_for_ever(db: Database) -> None:
    """It stays listed; revoking again keeps the first moment."""
    made = create_key(db, owner="shop", scopes=SCOPES)
    revoked = revoke_key(db, made.key.id)
    assert revoked is not None
    assert revoked.revoked_at is not None
    assert find_key(db, made.secret) is None
    assert revoke_key(db, made.key.id) == revoked
    assert list_keys(db) == [revoked]


def test_a_key_nobody_knows_cannot_be_revoked(db: Database) -> None:
    """The result differs from that for a key that was revoked already."""
    assert revoke_key(db, uuid4()) is None


def test_keys_are_listed_newest_first_and_by_owner(db: Database) -> None:
    """Made one after the other, in that order whatever the clock's grain."""
    ids = [create_key(db, owner=o, scopes=SCOPES).key.id for o in ("a", "b", "a")]
    assert [key.id for key in list_keys(db)] == ids[::-1]
    assert [key.id for key in list_keys(db, owner="a")] == [ids[2], ids[0]]


def test_revoking_the_last_key_leaves_keys_in_use(db: Database) -> None:
    """Or else it would open to everybody what it was to shut."""
    assert not any_keys(db)
    made = create_key(db, owner="shop", scopes=SCOPES)
    revoke_key(db, made.key.id)
    assert any_keys(db)


def test_the_day_of_the_last_use_is_noted_once_a_day(db: Database) -> None:
    """So that unused keys can be found, at one write a day."""
    made, keys = create_key(db, owner="shop", scopes=SCOPES), db.tables.api_keys
    assert (made.key.last_used_day, made.key.used_today) == (None, False)
    assert note_key_used(db, made.key.id)
    assert not note_key_used(db, made.key.id)
    used = find_key(db, made.secret)
    assert used is not None
    assert used.used_today
    with db.begin() as connection:
        connection.execute(update(keys).values(last_used_day="2025-11-01"))
    old = find_key(db, made.secret)
    assert old is not None
    assert (old.last_used_day, old.used_today) == ("2025-11-01", False)
    assert note_key_used(db, made.key.id)


def test_a_key_without_a_scope_is_not_made(db: Database) -> None:
    """It would open nothing."""
    with pytest.raises(ValueError, match="scope"):
        create_key(db, owner="shop", scopes=())
    assert list_keys(db) == []
