"""Whether a host is this machine alone: where a gateway without keys may listen, and be asked for.

Both sides of that promise ask here, so that they cannot come to mean different things.
"""

from ipaddress import ip_address

__all__ = ["is_loopback"]


def is_loopback(host: str) -> bool:
    """Whether a host, as an address or a name, is nobody but this machine.

    Of names only `localhost`: browsers and resolvers keep that one to this machine (RFC 6761,
    section 6.3), and any other may point anywhere, `127.0.0.1.example.com` among them.
    """
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
