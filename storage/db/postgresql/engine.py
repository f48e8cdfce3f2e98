"""Make the SQLAlchemy engine of a PostgreSQL database.

Each connection sets its limits by start-up options. If a pooler refuses such options, the
connection is made without them. The limits are then those of the database role, and `darkroom
doctor` reports which are missing. No connection runs SET for its session: behind a transaction
pooler that would change another client's connection.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

import psycopg
from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import ConnectionPoolEntry

from storage.db.pooled_engine import pooled_engine
from storage.db.postgresql.connection import BoundedConnection
from storage.db.safe_url import safe_url
from storage.db.statement_limits import Limits

__all__ = ["postgresql_engine"]

log = logging.getLogger(__name__)

#: The errors of poolers that refuse the start-up parameter `options`: the first of PgBouncer and
#: Odyssey, the second of the proxy of RDS.
_OPTIONS_REFUSED: Final = re.compile(r"startup parameter|command-line options", re.IGNORECASE)

#: URLs at which a pooler refused the options, so that the warning is logged once for each.
_without_options: set[str] = set()


def postgresql_engine(
    address: URL, *, pool_size: int, connect_timeout_s: float, limits: Limits
) -> Engine:
    """Make the engine of a PostgreSQL database without connecting."""
    arguments = {
        "connect_timeout": max(2, round(connect_timeout_s)),  # libpq's minimum is 2 s
        "prepare_threshold": None,  # poolers switch server connections
        "application_name": "darkroom",
        "keepalives": 1,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,  # milliseconds; detects a server that disappeared
    }
    engine = pooled_engine(
        address,
        pool_size=pool_size,
        connect_args=arguments,
        use_native_hstore=False,
        # Nearly all of a worker's queries are single statements, so connections stay in autocommit:
        # to switch one over and back costs as much interpreter time as the statement does.
        isolation_level="AUTOCOMMIT",
    )

    @event.listens_for(engine, "do_connect")
    def _connect(
        _dialect: Dialect, _entry: ConnectionPoolEntry, _args: object, parameters: dict[str, Any]
    ) -> Any:
        return _bounded(safe_url(address), parameters, limits)

    return engine


def _bounded(safe_url: str, parameters: dict[str, Any], limits: Limits) -> Any:
    """Connect, with the limits as start-up options if the server accepts them."""
    if safe_url not in _without_options:
        own_options = " ".join(f"-c {name}={value}" for name, value in limits.on_server.items())
        url_options = parameters.get("options", "")  # from the URL: later ones win
        try:
            return _connected(
                parameters | {"options": f"{own_options} {url_options}".strip()}, limits
            )
        except psycopg.OperationalError as error:
            if not _OPTIONS_REFUSED.search(str(error)):
                raise
    connection = _connected(parameters, limits)
    if safe_url not in _without_options:
        _without_options.add(safe_url)
        log.warning(
            "a pooler refused the start-up options; the database role's limits apply",
            extra={"database": safe_url},
        )
    return connection


def _connected(parameters: dict[str, Any], limits: Limits) -> BoundedConnection:
    connection = BoundedConnection.connect(**parameters)
    connection.deadline_s = limits.deadline_s
    return connection
