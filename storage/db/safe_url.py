"""A database address as it may be shown: in messages, logs and `darkroom doctor`.

SQLAlchemy hides the password before the host and nothing else. Secrets stand in other places too:
in parameters (`?password=`, `?sslpassword=`), behind an `@` in a password that was not quoted, and
in a keyword string (`host=db password=…`) that was put where the database's name belongs. The last
two are refused when an address is read.
"""

from typing import Final

from sqlalchemy import URL

__all__ = ["safe_url"]

#: Parameters whose values are no secrets; those of others, known or not, are hidden.
_SHOWN: Final = frozenset(
    {
        *("application_name", "channel_binding", "connect_timeout", "gssencmode", "host"),
        *("hostaddr", "port", "sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert"),
        *("target_session_attrs", "mode", "timeout", "uri"),
    }
)
_HIDDEN: Final = "***"


def safe_url(address: URL) -> str:
    """Return an address with every part hidden that may be a secret."""
    query = {
        name: value if name in _SHOWN and "password" not in str(value).lower() else _HIDDEN
        for name, value in address.query.items()
    }
    host, database = address.host, address.database
    if host and "@" in host:
        host = host.rpartition("@")[2]
    if address.get_backend_name() != "sqlite" and database and set(database) & set("=@"):
        database = _HIDDEN
    # `set` leaves what is None as it is, so nothing is made up here.
    shown = address.set(host=host, database=database, query=query)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", _HIDDEN)
