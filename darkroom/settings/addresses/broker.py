"""The broker's address, for Celery and for messages: a Redis, or one or several RabbitMQ nodes."""

from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode, urlsplit, urlunsplit

from darkroom.settings.addresses.parts import parts_of
from darkroom.settings.addresses.redis import RedisAddress
from darkroom.settings.addresses.tls import TLS_OPTIONS, Tls, TlsDefaults

__all__ = ["BrokerAddress"]


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where messages wait.

    Attributes:
        url: the address for Celery, without TLS options.
        redis: the same, if it is a Redis.
        tls: how its certificate is verified; None for connections without TLS.
    """

    url: str = field(repr=False)
    redis: RedisAddress | None
    tls: Tls | None

    @classmethod
    def of_redis(cls, redis: RedisAddress) -> Self:
        """Use a Redis as the broker."""
        return cls(redis.url, redis, redis.tls)

    @classmethod
    def of_rabbitmq(cls, urls: str, defaults: TlsDefaults) -> Self:
        """Read the address of a RabbitMQ, or of several of its nodes, separated by `;`.

        Args:
            urls: each `amqp://`, `pyamqp://` or `amqps://`.
            defaults: how certificates are verified, if an address does not specify it.

        Raises:
            ValueError: one is invalid, or they differ in TLS.
        """
        read = [_rabbitmq(url, defaults) for url in urls.split(";")]
        if len({tls for _, tls in read}) > 1:
            raise ValueError("all nodes are reached with the same options of TLS, or all without")
        return cls(";".join(url for url, _ in read), None, read[0][1])

    @property
    def use_ssl(self) -> dict[str, Any] | None:
        """Return Celery's `broker_use_ssl`; None without TLS."""
        if self.tls is None:
            return None
        return self.tls.for_amqp if self.redis is None else self.tls.for_redis


def _rabbitmq(url: str, defaults: TlsDefaults) -> tuple[str, Tls | None]:
    """Return one node's address without TLS options, and its TLS options."""
    query = parts_of(url).query
    given = {name: value for name, value in query.items() if name.startswith("ssl_")}
    unknown = given.keys() - set(TLS_OPTIONS)
    if unknown:
        known = ", ".join(TLS_OPTIONS)
        raise ValueError(f"unknown option {min(unknown)[:40]!r}: those of TLS are {known}")
    if not url.startswith("amqps://"):
        if given:
            raise ValueError("options of TLS need an address that begins with amqps://")
        return url, None
    others = {name: value for name, value in query.items() if name not in given}
    bare = urlunsplit(urlsplit(url)._replace(query=urlencode(others)))
    return bare, Tls.read(given, defaults)
