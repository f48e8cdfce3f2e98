"""Hide the secrets of a database URL, for messages, logs and `darkroom doctor`.

SQLAlchemy hides only the password before the host. Secrets occur in other places too: in parameters
(`?password=`, `?sslpassword=`), after an `@` in an unquoted password, and in a keyword string
(`host=db password=…`) in place of the database's name. The last two are refused when a URL is
parsed.
"""

from typing import Final

from sqlalchemy import URL

from storage.schema.dialects import names_sqlite

__all__ = ["safe_url"]

#: Parameters whose values are not secret; those of all others, known or not, are hidden.
_SHOWN: Final = frozenset(
    {
        *("application_name", "channel_binding", "connect_timeout", "gssencmode", "host"),
        *("hostaddr", "port", "sslcert", "sslcrl", "sslkey", "sslmode", "sslrootcert"),
        *("target_session_attrs", "mode", "timeout", "uri"),
    }
)
_HIDDEN: Final = "***"


def safe_url(address: URL) -> str:
    """Return a URL with every part hidden that may be a secret."""
    query = {
        name: value if name in _SHOWN and "password" not in str(value).lower() else _HIDDEN
        for name, value in address.query.items()
    }
    host, database = address.host, address.database
    if host and "@" in host:
        host = host.rpartition("@")[2]
    if not names_sqlite(address) and database and set(database) & set("=@"):
        database = _HIDDEN
    # `set` leaves parts that are None unchanged, so it adds nothing.
    shown = address.set(host=host, database=database, query=query)
    return shown.render_as_string(hide_password=True).replace("%2A%2A%2A", _HIDDEN)
