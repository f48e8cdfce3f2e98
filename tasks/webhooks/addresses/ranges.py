"""List the IP addresses that a webhook must not reach: all outside the public Internet.

The ranges are those of IANA's special-purpose registries (IPv4 and IPv6, RFC 6890). Their few
globally reachable entries are included, because no receiver has such an address. The list also has
the addresses of cloud metadata services, which give credentials to any caller. If an address embeds
another, the check applies to the one that packets would reach. Exceptions for internal receivers
are made in `address_guard.py`.
"""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

IPAddress = IPv4Address | IPv6Address

#: Refused even if the operator allows them: these services return a machine's credentials.
METADATA: Final = frozenset(
    ip_address(text)
    for text in (
        "169.254.169.254",  # AWS, Google, Azure, Oracle, DigitalOcean, OpenStack
        "169.254.170.2",  # AWS ECS: a task's credentials
        "169.254.170.23",  # AWS EKS: a pod's credentials
        "169.254.0.23",  # Tencent
        "168.63.129.16",  # Azure's wire server; looks public
        "100.100.100.200",  # Alibaba
        "192.0.0.192",  # Oracle, first generation
        "fd00:ec2::254",  # AWS
        "fd00:ec2::23",  # AWS EKS
        "fd20:ce::254",  # Google
        "fd00:c1::a9fe:a9fe",  # Oracle
    )
)

_REFUSED: Final = tuple(
    (ip_network(network), what)
    for network, what in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier (CGNAT)"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.31.196.0/24", "reserved for AS112"),
        ("192.52.193.0/24", "reserved for AMT"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("192.175.48.0/24", "reserved for AS112"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "an IPv4 address in disguise"),
        ("::ffff:0:0:0/96", "an IPv4 address in disguise"),
        ("64:ff9b:1::/48", "translated to IPv4 nearby (NAT64)"),
        ("100::/64", "discarded"),
        ("2001::/32", "a Teredo tunnel"),
        ("2001:2::/48", "for benchmarks"),
        ("2001::/23", "reserved for protocols"),
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "a 6to4 tunnel"),
        ("2620:4f:8000::/48", "reserved for AS112"),
        ("3fff::/20", "for documentation"),
        ("fc00::/7", "unique to a site"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)

# RFC 4291, 2.4 and IANA's list of IPv6 address space: nothing else is allocated yet.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
# RFC 6052: the prefix of DNS64 answers in networks without IPv4.
_NAT64: Final = IPv6Network("64:ff9b::/96")
# RFC 5214, 6.1: the interface identifier before an embedded IPv4 address, without u and g bits.
_ISATAP: Final = 0x0000_5EFE
_ISATAP_MASK: Final = 0xFCFF_FFFF


def reached(address: IPAddress) -> IPAddress:
    """Return the address that packets would reach: IPv4-mapped and NAT64 are unwrapped."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def why_refused(address: IPAddress) -> str | None:
    """Return why an address, unwrapped by `reached`, must not be called.

    Returns:
        Words that complete "the address is …"; None for an address on the public Internet.
    """
    if address in METADATA:
        return "a cloud's metadata service"
    for network, what in _REFUSED:
        if address in network:
            return what
    if isinstance(address, IPv6Address):
        if address not in _GLOBAL_UNICAST:
            return "not on the Internet"
        if int(address) >> 32 & _ISATAP_MASK == _ISATAP:
            return "an ISATAP tunnel"
    return None
