"""Does a PostgreSQL server prove that it is the one that the address names?

libpq verifies nothing unless `sslmode` tells it to, and takes `sslmode` from the address, the
environment or a service file. So a connection is asked for it, not the address.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from storage.db.database import Database

__all__ = ["is_proven", "unproven_sslmode"]

_PROVES: Final = frozenset({"verify-ca", "verify-full"})


def unproven_sslmode(db: Database) -> str | None:
    """Return the `sslmode` of a server on another machine that proves nothing; None if all is well.

    Raises:
        DatabaseError: One of its kinds.
    """
    if db.dialect != "postgresql":
        return None
    with db.read() as connection:
        driver: Any = connection.connection.driver_connection
        options = {option.keyword: option.val or b"" for option in driver.pgconn.info}
        host, sslmode = str(driver.info.host), options[b"sslmode"].decode()
    return None if is_proven(host, sslmode) else sslmode


def is_proven(host: str, sslmode: str) -> bool:
    """Return whether nobody on the way to a server could stand in for it.

    Args:
        host: A name, an address, or the folder of a socket.
        sslmode: libpq's word.
    """
    if sslmode in _PROVES or not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False
