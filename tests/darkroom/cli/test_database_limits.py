"""The settings of the limits on database statements agree with each other and with the lease."""

import pytest

from darkroom.errors import UserError
from darkroom.settings import load_settings
from darkroom.wiring.factory import Wiring


@pytest.mark.parametrize(
    ("lease_s", "heartbeat_s", "expected"),
    [(20, 5, (2, 8, 10)), (300, 5, (2, 8, 10)), (2, 0.5, (0.27, 1.08, 1.35))],
)
def test_the_defaults_fit_the_lease(
    lease_s: float, heartbeat_s: float, expected: tuple[float, ...]
) -> None:
    """A short lease shortens them; a long one leaves them as they are."""
    settings = load_settings(lease_s=lease_s, heartbeat_s=heartbeat_s)
    assert settings.statement_limits == pytest.approx(expected)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"database_deadline_s": 15}, "DARKROOM_DATABASE_DEADLINE_S (15) must be shorter than"),
        ({"database_statement_timeout_s": 10}, "DARKROOM_DATABASE_STATEMENT_TIMEOUT_S (10)"),
        ({"database_lock_timeout_s": 8}, "DARKROOM_DATABASE_LOCK_TIMEOUT_S (8) must be shorter"),
        ({"lease_s": 12, "database_deadline_s": 8}, "(12 - 5)"),
    ],
)
def test_limits_in_the_wrong_order_are_refused(wrong: dict[str, float], named: str) -> None:
    """A lock before a statement, that before the connection, and that before the lease."""
    with pytest.raises(UserError) as refused:
        load_settings(**wrong)
    assert named in str(refused.value)


def test_an_impossible_lease_is_named_alone() -> None:
    """What would follow from it is not listed as well."""
    with pytest.raises(UserError) as refused:
        load_settings(lease_s=5, heartbeat_s=5)
    assert "DARKROOM_DATABASE" not in str(refused.value)


def test_sqlite_waits_for_another_writer_less_than_a_lease(sqlite_url: str) -> None:
    """Also the heartbeat, which must have another try before its lease ends."""
    wiring = Wiring(load_settings(database_url=sqlite_url, lease_s=4, heartbeat_s=1))
    found = []
    for database in (wiring.database, wiring.open_database(1, deadline_s=1)):
        with database.read() as connection:
            found.append(connection.exec_driver_sql("PRAGMA busy_timeout").scalar_one())
        database.close()
    assert found == [2700, 1000]
