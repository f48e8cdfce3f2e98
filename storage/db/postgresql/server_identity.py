"""Check whether the connection verifies the identity of the PostgreSQL server.

libpq verifies nothing unless `sslmode` is set accordingly, and reads `sslmode` from the URL, the
environment or a service file. So the setting is read from a connection, not from the URL.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any, Final

from storage.db.database import Database

__all__ = ["is_proven", "unproven_sslmode"]

_PROVES: Final = frozenset({"verify-ca", "verify-full"})


def unproven_sslmode(db: Database) -> str | None:
    """Return the `sslmode` if it does not verify a server on another machine; otherwise None.

    Raises:
        DatabaseError: One of its subclasses.
    """
    if db.is_sqlite:
        return None
    with db.read() as connection:
        driver: Any = connection.connection.driver_connection
        options = {option.keyword: option.val or b"" for option in driver.pgconn.info}
        host, sslmode = str(driver.info.host), options[b"sslmode"].decode()
    return None if is_proven(host, sslmode) else sslmode


def is_proven(host: str, sslmode: str) -> bool:
    """Return whether no other server on the network path can impersonate this one.

    Args:
        host: A name, an address, or the folder of a socket.
        sslmode: libpq's setting.
    """
    if sslmode in _PROVES or not host or host.startswith(("/", "@")) or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:  # a name
        return False
