"""Nothing that a webhook's address leads to may be inside; the operator's exceptions aside."""

import socket
import threading
from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest

from tasks.errors import ReceiverNotFound, ReceiverRefused
from tasks.webhooks.addresses.address_guard import AddressGuard, AllowList

# The system's resolver, which reads the odd spellings, is closed together with the sockets.
pytestmark = pytest.mark.enable_socket

PUBLIC = "93.184.215.14"

INSIDE = [
    # This machine, plainly.
    "127.0.0.1",
    "127.0.0.2",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - no socket binds to it here
    "0.1.2.3",
    "[::1]",
    "[::]",
    "localhost",
    # This machine, spelt oddly: octal, hexadecimal, decimal, short, and mixtures.
    "0177.0.0.1",
    "00000177.0.0.1",
    "0x7f.0.0.1",
    "0x7f.1",
    "0x7F000001",
    "017700000001",
    "2130706433",
    "127.1",
    "127.0.1",
    "0x7f.0.01",
    "127.0x0.0.1",
    "0",
    "0x0",
    # Private networks, in full and otherwise.
    "10.0.0.1",
    "10.255.255.255",
    "0xa.1",
    "167772161",
    "012.0.0.1",
    "172.16.0.1",
    "172.31.255.254",
    "192.168.0.1",
    "192.168.257",
    "0xc0a80001",
    "3232235521",
    # Link-local, and what clouds keep there.
    "169.254.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "2852039166",
    "0xa9fea9fe",
    "0251.0376.0251.0376",
    "169.254.43518",
    # Metadata services that do not look like it.
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    # Carriers' networks.
    "100.64.0.1",
    "100.127.255.254",
    # Everybody at once.
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "[ff02::1]",
    "[ff05::2]",
    # Reserved, benchmarks, documentation, relays.
    "240.0.0.1",
    "254.255.255.255",
    "192.0.0.8",
    "198.18.0.1",
    "198.19.255.255",
    "192.0.2.1",
    "198.51.100.7",
    "203.0.113.7",
    "192.88.99.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.175.48.1",
    # IPv6's own.
    "[fc00::1]",
    "[fd12:3456:789a::1]",
    "[fe80::1]",
    "[febf::1]",
    "[fec0::1]",
    "[2001:db8::1]",
    "[3fff::1]",
    "[2001:2::1]",
    "[2001:10::1]",
    "[2001:20::1]",
    "[100::1]",
    "[100:0:0:1::1]",
    "[5f00::1]",
    "[4000::1]",
    "[2620:4f:8000::1]",
    # IPv6 with an IPv4 address in it.
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::ffff:a9fe:a9fe]",
    "[::ffff:10.0.0.1]",
    "[0:0:0:0:0:ffff:c0a8:1]",
    "[::ffff:0:127.0.0.1]",
    "[::127.0.0.1]",
    "[::7f00:1]",
    "[::10.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b::10.1.2.3]",
    "[64:ff9b:1::8.8.8.8]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2002:808:808::1]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[2001::7f00:1]",
    "[2606:4700::5efe:10.0.0.1]",
    "[2606:4700::200:5efe:127.0.0.1]",
]

OUTSIDE = [
    PUBLIC,
    "8.8.8.8",
    "1.1.1.1",
    "134744072",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "198.17.255.255",
    "223.255.255.255",
    "[2606:4700:4700::1111]",
    "[2a00:1450:4001:81b::200e]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::8.8.8.8]",
]


class Names:
    """A resolver whose every answer is the next of a list; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)

    def __call__(self, _host: str) -> Sequence[str]:
        """Answer."""
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def target_of(guard: AddressGuard, host: str, path: str = "/") -> list[str]:
    """Ask the guard; the addresses that may be called."""
    receiver = guard.receiver_of(f"http://{host}{path}")
    return [str(found) for found in guard.target_of(receiver, timeout_s=5).addresses]


def test_the_table_is_as_long_as_promised() -> None:
    """Sixty at least, none of them twice."""
    assert len(set(INSIDE)) == len(INSIDE) >= 60


@pytest.mark.parametrize("host", INSIDE)
def test_an_address_inside_is_refused(host: str) -> None:
    """However it is spelt: the system's resolver reads it, and what it read is judged."""
    with pytest.raises(ReceiverRefused):
        target_of(AddressGuard(), host)


@pytest.mark.parametrize("host", INSIDE)
def test_a_name_that_leads_inside_is_refused(host: str) -> None:
    """The name is an innocent one; its address is not."""
    try:
        address = socket.getaddrinfo(host.strip("[]"), None)[0][4][0]
    except OSError:  # no IPv6 on this machine
        address = host.strip("[]")
    guard = AddressGuard(resolver=Names([str(address)]))
    with pytest.raises(ReceiverRefused):
        target_of(guard, "innocent.example.com")


@pytest.mark.parametrize("host", OUTSIDE)
def test_an_address_outside_is_let_pass(host: str) -> None:
    """The guard guards the inside, and is not in the way of anybody else."""
    assert target_of(AddressGuard(), host)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_one_address_inside_among_good_ones_is_enough(position: int) -> None:
    """Otherwise luck would decide which of them is called."""
    addresses = [PUBLIC, "2606:4700::1"]
    addresses.insert(position, "10.0.0.1")
    with pytest.raises(ReceiverRefused):
        target_of(AddressGuard(resolver=Names(addresses)), "mixed.example.com")


def test_every_good_address_is_kept_in_the_resolvers_order() -> None:
    """A receiver with a dead address is still reached at the other."""
    addresses = ["2606:4700::1", PUBLIC]
    assert target_of(AddressGuard(resolver=Names(addresses)), "two.example.com") == addresses


def test_an_answer_that_changes_after_the_check_changes_nothing() -> None:
    """The target is made of the answer that was checked; there is no second question."""
    guard = AddressGuard(resolver=Names([PUBLIC], ["127.0.0.1"]))
    assert target_of(guard, "rebinds.example.com") == [PUBLIC]
    with pytest.raises(ReceiverRefused):
        target_of(guard, "rebinds.example.com")


def test_a_name_that_leads_nowhere_is_another_matter_than_one_refused() -> None:
    """It may come back, and no rule was broken."""
    with pytest.raises(ReceiverNotFound):
        target_of(AddressGuard(resolver=Names([])), "gone.example.com")

    def unknown(host: str) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, host)

    with pytest.raises(ReceiverNotFound):
        target_of(AddressGuard(resolver=unknown), "gone.example.com")


def test_a_slow_name_server_holds_nobody() -> None:
    """The lookup is left behind when its time is over."""
    released = threading.Event()

    def slow(_host: str) -> Sequence[str]:
        released.wait(30)
        return [PUBLIC]

    guard = AddressGuard(resolver=slow)
    receiver = guard.receiver_of("http://slow.example.com/")
    try:
        with pytest.raises(ReceiverNotFound, match="in time"):
            guard.target_of(receiver, timeout_s=0.05)
    finally:
        released.set()


@pytest.mark.parametrize(
    "host", ["10.1.2.3", "0xa.1.2.3", "[::ffff:10.1.2.3]", "[64:ff9b::10.1.2.3]", "[fd12::1]"]
)
def test_an_allowed_network_is_let_pass_in_every_spelling(host: str) -> None:
    """What counts is where the packets go."""
    networks = (ip_network("10.0.0.0/8"), ip_network("fd12::/16"))
    assert target_of(AddressGuard(allowed=AllowList(networks)), host)


@pytest.mark.parametrize("host", ["192.168.0.1", "127.0.0.1", "[fd13::1]"])
def test_an_allowed_network_allows_nothing_beside_it(host: str) -> None:
    """Its neighbours stay inside."""
    networks = (ip_network("10.0.0.0/8"), ip_network("fd12::/16"))
    guard = AddressGuard(allowed=AllowList(networks))
    with pytest.raises(ReceiverRefused):
        target_of(guard, host)


def test_an_allowed_name_may_lead_anywhere_inside() -> None:
    """For receivers whose address changes; with or without the full stop at its end."""
    allowed = AllowList(hosts=frozenset({"hooks.internal"}))
    guard = AddressGuard(allowed=allowed, resolver=Names(["10.0.0.1", "fd12::1"]))
    for host in ("hooks.internal", "HOOKS.internal", "hooks.internal."):
        assert target_of(guard, host) == ["10.0.0.1", "fd12::1"]
    for host in ("evil.hooks.internal", "xhooks.internal", "hooks.internal.example.com"):
        with pytest.raises(ReceiverRefused):
            target_of(guard, host)


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fd00:ec2::254", "::ffff:169.254.169.254", "168.63.129.16"]
)
def test_metadata_services_stay_out_of_reach_whatever_is_allowed(address: str) -> None:
    """An allow-list that is too wide must not give a machine's credentials away."""
    everything = AllowList(
        (ip_network("0.0.0.0/0"), ip_network("::/0")), frozenset({"hooks.internal"})
    )
    guard = AddressGuard(allowed=everything, resolver=Names([address]))
    with pytest.raises(ReceiverRefused, match="metadata"):
        target_of(guard, "hooks.internal")


def test_a_refusal_says_where_the_name_led_and_not_what_it_was_asked() -> None:
    """An operator needs the address; the path and query may hold a token."""
    guard = AddressGuard(resolver=Names(["10.0.0.1"]))
    with pytest.raises(ReceiverRefused) as caught:
        target_of(guard, "in.example.com", "/hush?token=hush")
    assert "10.0.0.1" in str(caught.value)
    assert "private" in str(caught.value)
    assert "hush" not in str(caught.value)
    public = AddressGuard(resolver=Names([PUBLIC]))
    receiver = public.receiver_of("https://x.example.com/hush?hush")
    target = public.target_of(receiver, timeout_s=5)
    assert "hush" not in repr(target)
    assert target.addresses == (ip_address(PUBLIC),)
