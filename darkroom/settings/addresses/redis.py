"""The address of a Redis, for Kombu, for redis-py and for messages."""

from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import quote, urlsplit

from darkroom.settings.addresses.parts import Parts, parts_of
from darkroom.settings.addresses.tls import TLS_OPTIONS, Tls, TlsDefaults

__all__ = ["RedisAddress"]

_PORT: Final = 6379
_HOST: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """One Redis server and database.

    Attributes:
        host: of the server.
        port: of the server.
        path: of its socket file, if it is reached by one.
        database: its number.
        username: of an ACL user.
        password: of the user.
        tls: how its certificate is verified; None for a connection without TLS.
    """

    host: str
    port: int
    path: str | None
    database: int
    username: str | None
    password: str | None = field(repr=False)
    tls: Tls | None

    @classmethod
    def read(cls, url: str, defaults: TlsDefaults | None = None) -> Self:
        """Read an address.

        Args:
            url: `redis://`, `rediss://` or `unix://`.
            defaults: how certificates are verified, if the address does not specify it.

        Raises:
            ValueError: it is invalid, or libraries would interpret it differently.
        """
        if ";" in url or "," in urlsplit(url).netloc.rpartition("@")[2]:
            raise ValueError("name one server: several, as of Cluster or Sentinel, do not work")
        parts = parts_of(url)
        _require_known(parts)
        is_file = parts.scheme == "unix"
        return cls(
            host=parts.host or _HOST,
            port=_PORT if parts.port is None else parts.port,
            path=f"/{parts.path}" if is_file else None,
            database=_database(parts.query.get("db"), None if is_file else parts.path),
            username=parts.username,
            password=parts.password,
            tls=_tls(parts, defaults or TlsDefaults()),
        )

    @property
    def options(self) -> dict[str, Any]:
        """Return the options of a redis-py connection pool."""
        from redis import connection  # noqa: PLC0415 - commands that need no Redis do not load it

        login = {"db": self.database, "username": self.username, "password": self.password}
        if self.path is not None:
            return login | {
                "connection_class": connection.UnixDomainSocketConnection,
                "path": self.path,
            }
        at = login | {"host": self.host, "port": self.port}
        if self.tls is None:
            return at | {"connection_class": connection.Connection}
        return at | {"connection_class": connection.SSLConnection, **self.tls.for_redis}

    @property
    def url(self) -> str:
        """Return the address for Kombu, which gets the TLS options separately."""
        return self._url(quote(self.password, safe="") if self.password else "")

    @property
    def safe_url(self) -> str:
        """Return the address without its password, for messages."""
        return self._url("**" if self.password else "")

    def _url(self, password: str) -> str:
        user = quote(self.username, safe="") if self.username else ""
        login = f"{user}{f':{password}' if password else ''}@" if user or password else ""
        if self.path is not None:
            return f"unix://{login}{self.path}?db={self.database}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        scheme = "redis" if self.tls is None else "rediss"
        return f"{scheme}://{login}{host}:{self.port}/{self.database}"


def _require_known(parts: Parts) -> None:
    names = parts.query.keys()
    if parts.scheme != "rediss" and any(name.startswith("ssl_") for name in names):
        raise ValueError("options of TLS need an address that begins with rediss://")
    unknown = names - {"db", *TLS_OPTIONS}
    if unknown:
        known = ", ".join(("db", *TLS_OPTIONS))
        raise ValueError(f"unknown option {min(unknown)[:40]!r}: the options are {known}")


def _database(option: str | None, path: str | None) -> int:
    texts = {text for text in (option, path) if text}
    if len(texts) > 1:
        raise ValueError("the path and the option db name different databases")
    text = texts.pop() if texts else "0"
    if not (text.isascii() and text.isdigit()):
        raise ValueError("the database is a number, as in redis://host:6379/0")
    return int(text)


def _tls(parts: Parts, defaults: TlsDefaults) -> Tls | None:
    return Tls.read(parts.query, defaults) if parts.scheme == "rediss" else None
