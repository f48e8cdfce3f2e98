"""Take the secrets out of addresses, for messages and `darkroom doctor`.

Database URLs have more places for secrets and their own function (`storage/db/safe_url.py`).
"""

import re

__all__ = ["safe_address", "without_login"]


def safe_address(url: str) -> str:
    """Drop everything before the host and after the path: both may hold secrets.

    `urlsplit` is not used, as it cannot put `sqlite:////path` together again.
    """
    scheme, colon, rest = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")
    login_and_host, slash, path = rest.partition("/")
    return f"{scheme}{colon}{login_and_host.rpartition('@')[2]}{slash}{path}"


def without_login(text: str) -> str:
    """Hide user and password of the addresses in a text, which may be malformed."""
    return re.sub(r"(?<=://)\S*@", "***@", text)
