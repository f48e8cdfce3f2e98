"""Prevent webhooks from calling internal network addresses (SSRF).

Users choose the addresses that a worker calls, so one of them could be the database's, or a cloud's
metadata service. A host name is resolved once. Each of its IP addresses must be on the public
Internet or allowed by the operator. The returned `Target` contains the checked IP addresses, so a
later change of the DNS has no effect. The connection is made in `sending/sender.py`, and may be
kept for further requests as long as `sending/kept_connections.py` allows.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from tasks.errors import ReceiverRefused
from tasks.webhooks.addresses.lookup import Resolve, look_up, resolve
from tasks.webhooks.addresses.ranges import METADATA, IPAddress, reached, why_refused
from tasks.webhooks.addresses.receiver import Receiver, UrlRules, receiver_of


@dataclass(frozen=True, slots=True)
class AllowList:
    """Lists internal receivers that the guard allows; values of settings.

    The `UrlRules` for schemes and ports still apply, and metadata services stay refused.

    Attributes:
        networks: networks of IP addresses that may be called.
        hosts: host names that may be called at any address; lower case, compared as a whole.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """Holds a receiver and the only IP addresses at which it may be called.

    Attributes:
        receiver: its name is used for `Host` and the TLS handshake.
        addresses: the checked IP addresses; best first, never empty.
    """

    receiver: Receiver
    addresses: tuple[IPAddress, ...]


class AddressGuard:
    """Checks addresses of webhooks. Thread-safe.

    Args:
        allowed: the allowed internal receivers.
        resolver: returns the IP addresses of a host.
    """

    def __init__(
        self,
        allowed: AllowList | None = None,
        *,
        resolver: Resolve = resolve,
    ) -> None:
        self._rules: Final = UrlRules()
        self._allowed: Final = allowed or AllowList()
        self._resolver: Final = resolver

    def receiver_of(self, url: str) -> Receiver:
        """Parse a webhook's address, without resolving its host.

        Args:
            url: the address as the user wrote it.

        Raises:
            ReceiverRefused: the address breaks a rule.
        """
        return receiver_of(url, self._rules)

    def target_of(self, receiver: Receiver, *, timeout_s: float) -> Target:
        """Resolve a receiver's host, and check every IP address of it.

        Args:
            receiver: the address.
            timeout_s: the timeout of the name lookup.

        Raises:
            ReceiverRefused: the address must not be called; one refused IP address is enough.
            ReceiverNotFound: the host has no IP address now.
        """
        found = look_up(self._resolver, receiver.host, timeout_s=timeout_s)
        addresses = tuple(_without_zone(text) for text in found)
        for address in addresses:
            self._check(receiver, address)
        return Target(receiver, addresses)

    def _check(self, receiver: Receiver, address: IPAddress) -> None:
        end = reached(address)
        fault = why_refused(end)
        if fault is None or (end not in METADATA and self._is_allowed(receiver, end)):
            return
        raise ReceiverRefused(
            f"the address leads to {receiver.name} at {address}, which is {fault}"
        )

    def _is_allowed(self, receiver: Receiver, address: IPAddress) -> bool:
        return receiver.name in self._allowed.hosts or any(
            address in network for network in self._allowed.networks
        )


def _without_zone(text: str) -> IPAddress:
    return ip_address(text.partition("%")[0])
