"""Types of settings: bounds and forms that a Python type does not express.

A form with its own rule is defined here, with the message for a value that breaks the rule.
"""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

__all__ = [
    "REDIS",
    "BrokerUrl",
    "Bytes",
    "Count",
    "Names",
    "PlainUrl",
    "Receivers",
    "RedisUrl",
    "Seconds",
]

BROKERS = ("redis", "rediss", "amqp", "amqps", "pyamqp")
# Not digits and dots alone: that is an address, or an invalid one, such as one with host bits set.
_HOST = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?", re.ASCII)
REDIS = ("redis://", "rediss://", "unix://")


def _known_broker(value: SecretStr) -> SecretStr:
    scheme = value.get_secret_value().partition("://")[0]
    _refuse_several(scheme)
    if scheme not in BROKERS:
        raise ValueError(f"the address must begin with one of {', '.join(BROKERS)}, and ://")
    return value


def _redis(value: SecretStr) -> SecretStr:
    _refuse_several(value.get_secret_value().partition("://")[0])
    if not value.get_secret_value().startswith(REDIS):
        raise ValueError(f"the address must begin with one of {', '.join(REDIS)}")
    return value


def _refuse_several(scheme: str) -> None:
    if "sentinel" in scheme:
        raise ValueError(
            "Redis Sentinel is not supported: each library would follow a failover by itself, and "
            "the new master may lack messages that were confirmed; name one address that "
            "follows the master"
        )
    if "cluster" in scheme:
        raise ValueError(
            "Redis Cluster is not supported: Kombu changes keys of different slots in one step"
        )


def _plain(value: str) -> str:
    if "@" in value:
        raise ValueError("the address must not hold a user or password; keys have settings apart")
    return value


def _receivers(value: object) -> object:
    names = _split(value)
    for name in names if isinstance(names, tuple) else ():
        try:
            ip_network(name)
        except ValueError:
            if not _HOST.fullmatch(name):
                rule = "a network (10.1.0.0/16), an address, or a host's whole name"
                raise ValueError(f"{name[:60]!r} is not {rule}") from None
    return names


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return value


Seconds = Annotated[float, Field(gt=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=100_000)]
Bytes = Annotated[int, Field(ge=1_000_000)]
BrokerUrl = Annotated[SecretStr, AfterValidator(_known_broker)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis)]
PlainUrl = Annotated[str, AfterValidator(_plain)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Receivers = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_receivers)]
