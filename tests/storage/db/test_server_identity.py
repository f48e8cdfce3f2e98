"""Whether a PostgreSQL proves that it is the right one, as libpq was told and not as we think."""

import pytest

from storage.db.database import Database
from storage.db.postgresql.server_identity import is_proven, unproven_sslmode
from storage.errors import DatabaseError


@pytest.mark.parametrize(
    ("host", "sslmode", "expected"),
    [
        ("db.example", "prefer", False),
        ("db.example", "require", False),
        ("db.example", "disable", False),
        ("db.example", "verify-ca", True),
        ("db.example", "verify-full", True),
        ("10.0.0.7", "prefer", False),
        ("127.0.0.1", "prefer", True),
        ("::1", "prefer", True),
        ("localhost", "prefer", True),
        ("/run/postgresql", "prefer", True),
        ("", "prefer", True),
    ],
)
def test_a_server_on_another_machine_is_to_be_verified(
    host: str, sslmode: str, *, expected: bool
) -> None:
    """`require` encrypts and verifies nothing."""
    assert is_proven(host, sslmode) is expected


def test_the_mode_is_the_one_in_force(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the address or the environment; a server on this machine needs no proof."""
    monkeypatch.setenv("PGSSLMODE", "allow")
    db = Database(postgres_url)
    assert unproven_sslmode(db) is None
    monkeypatch.setattr("storage.db.postgresql.server_identity.is_proven", lambda *_: False)
    assert unproven_sslmode(db) == "allow"
    db.close()
    named = Database(f"{postgres_url}?sslmode=disable")
    assert unproven_sslmode(named) == "disable"
    named.close()


def test_a_word_that_libpq_does_not_know_is_a_line(postgres_url: str) -> None:
    """As every other fault of the address, and no traceback."""
    db = Database(f"{postgres_url}?sslmode=verify")
    with pytest.raises(DatabaseError, match="invalid sslmode value"):
        unproven_sslmode(db)
    db.close()


def test_sqlite_has_no_server(migrated_sqlite_url: str) -> None:
    """Nothing is asked."""
    db = Database(migrated_sqlite_url)
    assert unproven_sslmode(db) is None
    db.close()
