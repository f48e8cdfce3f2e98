"""Decide whether a host is this machine only.

A gateway without keys may listen on such a host only, and accepts requests for such a host only.
Both checks use this function, so they cannot disagree.
"""

from ipaddress import ip_address

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """Return whether a host, given as an address or a name, can only be this machine.

    The only accepted name is `localhost`: browsers and resolvers keep it on this machine (RFC 6761,
    section 6.3). Any other name may resolve to any address, for example `127.0.0.1.example.com`.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
