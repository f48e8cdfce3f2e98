"""How an address is read before anything is looked up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import ReceiverRefused, TaskError
from tasks.webhooks.addresses.receiver import Receiver, UrlRules, receiver_of

RULES = UrlRules()


@pytest.mark.parametrize(
    ("url", "receiver", "host_header"),
    [
        ("https://example.com", Receiver("https", "example.com", 443, "/"), "example.com"),
        ("HTTPS://Example.COM:443/A?b=C#d", Receiver("https", "example.com", 443, "/A?b=C"), None),
        ("http://example.com:8080/x", Receiver("http", "example.com", 8080, "/x"), None),
        ("http://example.com.?q", Receiver("http", "example.com.", 80, "/?q"), "example.com"),
        ("https://[2606:4700:0::1]:8443/", Receiver("https", "2606:4700::1", 8443, "/"), None),
        (
            "https://my_host.example.com//x",
            Receiver("https", "my_host.example.com", 443, "//x"),
            None,
        ),
    ],
)
def test_an_address_is_taken_apart_once(
    url: str, receiver: Receiver, host_header: str | None
) -> None:
    """Scheme, host, port and path are all that is used later."""
    found = receiver_of(url, RULES)
    assert found == receiver
    if host_header is not None:
        assert found.host_header == host_header


def test_the_host_header_carries_odd_ports_and_brackets() -> None:
    """As RFC 9110 wants it."""
    assert receiver_of("https://[2606:4700::1]:8443/", RULES).host_header == "[2606:4700::1]:8443"
    assert receiver_of("http://example.com:443/", RULES).host_header == "example.com:443"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com/hook",
        "//example.com/hook",
        "https:///hook",
        "https://",
        "https://:443/",
        "https://?x",
        # Other schemes.
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com:6379/_FLUSHALL",
        "dict://example.com:11211/stat",
        "javascript:alert(1)",
        "unix:///var/run/docker.sock",
        # A user before the host, which some programs take for the host.
        "https://user@example.com/",
        "https://user:pass@example.com/",
        "https://@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1%2f@example.com/",
        "https://example.com:80@127.0.0.1/",
        # What programs read differently.
        "https://example.com\\@127.0.0.1/",
        "https:\\\\example.com/",
        "https://example.com /",
        " https://example.com/",
        "https://example.com/\r\nX-Injected: 1",
        "https://exam\tple.com/",
        "https://example.com\x00.evil.com/",
        "https://example.com%00/",
        "https://127.0.0.1%23.example.com/",
        "https://ex%61mple.com/",
        "https://bücher.example/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https://example.com/ü",
        # What is no host.
        "https://[::1/",
        "https://::1]/",
        "https://[::1]x/",
        "https://[]/",
        "https://[v1.fe80::1]/",
        "https://[fe80::1%eth0]/",
        "https://[fe80::1%25eth0]/",
        "https://[example.com]/",
        "https://::1/",
        "https://a..b/",
        "https://.example.com/",
        "https://-a.example.com/",
        "https://example.com../",
        "https://exa$mple.com/",
        f"https://{'a' * 64}.com/",
        f"https://{'a.' * 130}com/",
        f"https://example.com/{'a' * 2000}",
        # Ports of mail, SSH and their like.
        "https://example.com:22/",
        "https://example.com:25/",
        "http://example.com:0/",
        "http://example.com:1023/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:٨٠/",
        "http://example.com:80x/",
        "http://example.com:80:80/",
    ],
)
def test_what_breaks_a_rule_or_is_ambiguous_is_refused(url: str) -> None:
    """Refused while it is still a text: nothing is looked up."""
    with pytest.raises(ReceiverRefused, match=r"^the address ") as caught:
        receiver_of(url, RULES)
    assert isinstance(caught.value, TaskError)


def test_the_operator_says_which_schemes_and_ports_there_are() -> None:
    """Settings may be narrower or wider than the usual rules."""
    narrow = UrlRules(frozenset({"https"}), (range(443, 444),))
    assert receiver_of("https://example.com/", narrow).port == 443
    for url in ("http://example.com:443/", "https://example.com:8443/"):
        with pytest.raises(ReceiverRefused):
            receiver_of(url, narrow)
    assert receiver_of("http://example.com:81/", UrlRules(ports=(range(81, 82),))).port == 81


def test_a_scheme_nobody_can_post_to_stays_refused() -> None:
    """Even where settings name it by mistake."""
    with pytest.raises(ReceiverRefused):
        receiver_of("ftp://example.com/", UrlRules(frozenset({"ftp"})))


@pytest.mark.parametrize("url", ["https://example.com:22/p?t=hush", "https://a b/?t=hush"])
def test_no_path_or_query_is_quoted(url: str) -> None:
    """They may hold a token; errors are shown and logged."""
    with pytest.raises(ReceiverRefused) as caught:
        receiver_of(url, RULES)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(receiver_of("https://example.com/hush?t=hush", RULES))


@given(st.text(max_size=60) | st.text(max_size=40).map("https://{}".format))
def test_any_text_is_an_address_or_refused(url: str) -> None:
    """There is no third way out."""
    try:
        receiver = receiver_of(url, RULES)
    except ReceiverRefused:
        return
    assert receiver.path.startswith("/")
    assert receiver.host.isascii()
