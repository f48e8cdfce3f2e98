"""A webhook's address as it was written down, taken apart once and for all.

Nothing later reads the text again, so no two readers can understand it differently. What would be
read differently by different programs (backslashes, control characters, names that are not ASCII,
a user before the host) is refused here. Where the host name leads is for `addresses.py`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tasks.errors import ReceiverRefused

_MAX_URL_CHARS: Final = 2000
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
#: The web's own ports and those that any user may open. Mail, SSH and their like are below 1024.
USUAL_PORTS: Final = (range(80, 81), range(443, 444), range(1024, 65536))
_PLAIN: Final = re.compile(r"[!-\[\]-~]+", re.ASCII)  # printable ASCII but for the backslash
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_BRACKETED: Final = re.compile(r"\[[^]]*\](?::[0-9]*)?", re.ASCII)
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_MAX_NAME_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class UrlRules:
    """What a webhook's address may look like; values of settings.

    Attributes:
        schemes: "https", or "http" as well.
        ports: ranges of ports that may be called.
    """

    schemes: frozenset[str] = frozenset({"http", "https"})
    ports: Sequence[range] = USUAL_PORTS


@dataclass(frozen=True, slots=True)
class Receiver:
    """Who gets a webhook.

    Attributes:
        scheme: "http" or "https".
        host: a name, an IPv4 address in any spelling, or an IPv6 address without its brackets.
        port: its port.
        path: path and query; they may hold a secret, so nothing prints them.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def host_header(self) -> str:
        """The value of `Host`: the port is left out where the scheme implies it."""
        host = f"[{self.host}]" if ":" in self.host else self.name
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """The host as certificates and allow-lists name it: without the root's full stop."""
        return self.host.removesuffix(".")


def receiver_of(url: str, rules: UrlRules) -> Receiver:
    """Take an address apart. No name is looked up, so this is also for the moment of taking it in.

    Args:
        url: as the user wrote it.
        rules: which schemes and ports are allowed.

    Raises:
        ReceiverRefused: it breaks a rule, or programs might read it differently.
    """
    if len(url) > _MAX_URL_CHARS:
        raise ReceiverRefused(f"the address has more than {_MAX_URL_CHARS} characters")
    if not _PLAIN.fullmatch(url):
        raise ReceiverRefused("the address has characters other than ASCII's, or spaces, or '\\'")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ReceiverRefused("the address can't be read as a URL") from None
    if parts.scheme not in rules.schemes or parts.scheme not in _DEFAULT_PORTS:
        raise ReceiverRefused(f"the address must begin with {_either(rules.schemes)}")
    if "@" in parts.netloc:
        raise ReceiverRefused("the address names a user")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if not any(port in allowed for allowed in rules.ports):
        raise ReceiverRefused(f"the address has port {port}, which may not be called")
    query = f"?{parts.query}" if parts.query else ""
    return Receiver(parts.scheme, _host(parts), port, f"{parts.path or '/'}{query}")


def _host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        try:
            # A zone ("%eth0") would choose one of our own network cards.
            whole = _BRACKETED.fullmatch(parts.netloc) is not None and "%" not in host
            return str(IPv6Address(host if whole else ""))
        except AddressValueError:
            raise ReceiverRefused("the address has no IPv6 address in its brackets") from None
    if len(host) > _MAX_NAME_CHARS or not _NAME.fullmatch(host):
        raise ReceiverRefused("the address names no host, or one with odd characters")
    return host


def _either(schemes: frozenset[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in sorted(schemes))
