"""Parse a webhook's address once.

No later step parses the text again, so no two parsers can disagree. Forms that parsers read
differently are refused: backslashes, control characters, names that are not ASCII, a user before
the host. The host name is resolved in `address_guard.py`.
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
#: The web's ports and all unprivileged ports. Mail, SSH and similar services are below 1024.
USUAL_PORTS: Final = (range(80, 81), range(443, 444), range(1024, 65536))
_PLAIN: Final = re.compile(r"[!-\[\]-~]+", re.ASCII)  # printable ASCII without the backslash
_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_BRACKETED: Final = re.compile(r"\[[^]]*\](?::[0-9]*)?", re.ASCII)
_NAME: Final = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?", re.ASCII)
_MAX_NAME_CHARS: Final = 253


@dataclass(frozen=True, slots=True)
class UrlRules:
    """Holds the rules for a webhook's address; values of settings.

    Attributes:
        schemes: "https", or "http" as well.
        ports: the allowed ranges of ports.
    """

    schemes: frozenset[str] = frozenset({"http", "https"})
    ports: Sequence[range] = USUAL_PORTS


@dataclass(frozen=True, slots=True)
class Receiver:
    """Holds the parts of a webhook's address.

    Attributes:
        scheme: "http" or "https".
        host: a name, an IPv4 address in any spelling, or an IPv6 address without brackets.
        port: the port.
        path: path and query; never printed, because they may contain a secret.
    """

    scheme: str
    host: str
    port: int
    path: str = field(repr=False)

    @property
    def host_header(self) -> str:
        """Return the value of `Host`, without the port if it is the scheme's default."""
        host = f"[{self.host}]" if ":" in self.host else self.name
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def name(self) -> str:
        """Return the host as in certificates and allow-lists: without a final full stop."""
        return self.host.removesuffix(".")


def receiver_of(url: str, rules: UrlRules) -> Receiver:
    """Parse an address, without a name lookup, so that submissions can be checked with it too.

    Args:
        url: the address as the user wrote it.
        rules: the allowed schemes and ports.

    Raises:
        ReceiverRefused: the address breaks a rule, or parsers might disagree about it.
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
            # A zone ("%eth0") would select a network interface of this machine.
            whole = _BRACKETED.fullmatch(parts.netloc) is not None and "%" not in host
            return str(IPv6Address(host if whole else ""))
        except AddressValueError:
            raise ReceiverRefused("the address has no IPv6 address in its brackets") from None
    if len(host) > _MAX_NAME_CHARS or not _NAME.fullmatch(host):
        raise ReceiverRefused("the address names no host, or one with odd characters")
    return host


def _either(schemes: frozenset[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in sorted(schemes))
