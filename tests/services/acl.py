"""Redis users as the operator's page makes them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis

__all__ = ["documented_rights", "user_with"]

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
PASSWORD = "hunter2"


def documented_rights(*, remote_control: bool) -> list[str]:
    """What docs/operations.md gives to the user, word by word."""
    lines = re.findall(r"^ACL SETUSER darkroom (.*)$", PAGE.read_text(), re.MULTILINE)
    base, more = (line.split() for line in lines)
    words = [*base, *(more if remote_control else [])]
    return [word for word in words if word not in {"on", ">PASSWORD"}]


@contextmanager
def user_with(url: str, rights: list[str]) -> Iterator[str]:
    """Make a user with these rights; the address with its login."""
    with redis.Redis.from_url(url) as client:
        client.execute_command("ACL", "SETUSER", "fleet", "reset", "on", f">{PASSWORD}", *rights)
        try:
            yield url.replace("://", f"://fleet:{PASSWORD}@")
        finally:
            client.execute_command("ACL", "DELUSER", "fleet")
