"""Addresses as messages show them: with no login and no option, which may hold secrets."""

import pytest

from darkroom.safe_address import safe_address, without_login


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1"),
        ("https://user:secret@api.example.com/v1?key=secret#secret", "https://api.example.com/v1"),
        ("redis://:secret@host:6379/0", "redis://host:6379/0"),
        ("amqp://user:se@cret@host//", "amqp://host//"),
        ("postgresql://user@host/name?password=secret", "postgresql://host/name"),
        ("sqlite:////data/darkroom.db", "sqlite:////data/darkroom.db"),
        ("http://user:secret@[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_an_address_is_shown_without_its_secrets(url: str, shown: str) -> None:
    """Scheme, host, port and path tell which server is meant."""
    assert safe_address(url) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host/x", "http://***@host/x"),
        ("http://us:er:se/cr@et@host", "http://***@host"),
        (
            "a list: http://a:secret@b and https://c:secret@d",
            "a list: http://***@b and https://***@d",
        ),
        ("no address at all", "no address at all"),
    ],
)
def test_a_malformed_setting_is_quoted_without_its_login(text: str, shown: str) -> None:
    """The message about a setting quotes it, so that its mistake can be seen."""
    assert without_login(text) == shown
