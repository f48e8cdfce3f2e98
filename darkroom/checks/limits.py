"""Check that the database server ends statements that wait too long.

Connections set these limits by start-up options, which a pooler may refuse or drop.
"""

from collections.abc import Iterator

from darkroom.checks.finding import Finding, Level
from darkroom.wiring.factory import Wiring
from storage.db.postgresql.server_limits import limits_not_in_force

__all__ = ["check_limits"]


def check_limits(wiring: Wiring) -> Iterator[Finding]:
    """Check that each statement limit is in force on the connections of this process.

    Raises:
        StorageError: the database did not report them.
    """
    database = wiring.database
    if missing := limits_not_in_force(database):
        values = database.limits.on_server
        commands = " ".join(f"ALTER ROLE … SET {name} = '{values[name]}ms';" for name in missing)
        yield Finding(
            "database",
            Level.WARN,
            f"limits not in force, as behind a pooler: {', '.join(missing)}",
            f"set them for the role that workers connect as: {commands}",
        )
