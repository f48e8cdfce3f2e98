"""Split an address into its parts, by rules that do not depend on the library that connects."""

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["Parts", "parts_of"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of an address, unquoted.

    Attributes:
        path: without slashes at its ends.
        query: the parameters, each at most once.
    """

    scheme: str
    host: str | None
    port: int | None
    username: str | None
    password: str | None = field(repr=False)
    path: str
    query: dict[str, str] = field(repr=False)


def parts_of(url: str) -> Parts:
    """Split an address.

    Raises:
        ValueError: it is invalid; the message does not quote it, as it may hold a password.
    """
    split = urlsplit(url)
    if split.fragment or url.endswith("#"):
        raise ValueError("a # in a password is written as %23")
    try:
        port = split.port
    except ValueError:
        raise ValueError(
            "the port is not a number from 0 to 65535; in a password, / is written as %2F, "
            "? as %3F, @ as %40 and : as %3A"
        ) from None
    pairs = parse_qsl(split.query, keep_blank_values=True)
    query = dict(pairs)
    if len(query) != len(pairs):
        raise ValueError("an option is given twice")
    return Parts(
        scheme=split.scheme,
        host=unquote(split.hostname or "") or None,
        port=port,
        username=unquote(split.username or "") or None,
        password=unquote(split.password or "") or None,
        path=unquote(split.path).strip("/"),
        query=query,
    )
