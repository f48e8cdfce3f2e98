"""Where a webhook may go: the guard against being sent to call our own network (SSRF).

Users name the addresses that we call, so one of them could be the database's, or a cloud's
metadata service. A host name is resolved once; every address it has must be on the public Internet
or allowed by the operator; and the `Target` that comes out carries those very addresses, so that an
answer of the DNS that changes a moment later changes nothing. Connecting is for `sender.py`.
"""

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from tasks.errors import ReceiverRefused
from tasks.webhooks.lookup import Resolve, look_up, resolve
from tasks.webhooks.ranges import METADATA, IPAddress, reached, why_refused
from tasks.webhooks.receiver import Receiver, UrlRules, receiver_of


@dataclass(frozen=True, slots=True)
class AllowList:
    """Receivers in the house, which the guard lets pass; values of settings.

    Schemes and ports stay as the `UrlRules` say, and metadata services stay out of reach.

    Attributes:
        networks: of IP addresses that may be called.
        hosts: names that may be called wherever they lead; lower case, each as a whole.
    """

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hosts: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver, and the only addresses at which it may be called.

    Attributes:
        receiver: whose names go into `Host` and the TLS handshake.
        addresses: each of them checked; best first, never empty.
    """

    receiver: Receiver
    addresses: tuple[IPAddress, ...]


class AddressGuard:
    """Checks addresses of webhooks. Thread-safe.

    Args:
        rules: what an address may look like.
        allowed: receivers in the house.
        resolver: finds the IP addresses of a host.
    """

    def __init__(
        self,
        rules: UrlRules | None = None,
        allowed: AllowList | None = None,
        *,
        resolver: Resolve = resolve,
    ) -> None:
        self._rules: Final = rules or UrlRules()
        self._allowed: Final = allowed or AllowList()
        self._resolver: Final = resolver

    def target_of(self, url: str, *, timeout_s: float) -> Target:
        """Find out where an address leads, and check all of it.

        Args:
            url: as the user wrote it.
            timeout_s: how long a name may take to be looked up.

        Raises:
            ReceiverRefused: it must not be called; one bad address among good ones is enough.
            ReceiverNotFound: the host has no address now.
        """
        receiver = receiver_of(url, self._rules)
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
