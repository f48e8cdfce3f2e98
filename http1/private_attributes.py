"""List the private attributes of urllib3 and `http.client` that Darkroom uses, in any package.

They are no interface: a new release may change them without notice. `tests/libraries/` compares
this list with the installed release and with the code. If that test fails, adapt the code that it
names, then this list, then the library's bound in `pyproject.toml`.

- A pool has no public method that takes a connection or puts it back. The fast exchange needs both,
  and the paid API's pools extend both.
- The paid API's connections extend how a socket is opened: a deadline must be able to cut it.
- A response reads its head in `_read_status`, which a tunnel through a proxy calls alone, and drops
  its stream in `_close_conn`.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["PRIVATE_ATTRIBUTES"]

#: By path: the parameters of a method, or None for what is not a method.
PRIVATE_ATTRIBUTES: Final[Mapping[str, str | None]] = {
    "urllib3.connectionpool:HTTPConnectionPool._get_conn": "self, timeout",
    "urllib3.connectionpool:HTTPConnectionPool._put_conn": "self, conn",
    "urllib3.connection:HTTPConnection._new_conn": "self",
    "http.client:HTTPResponse._read_status": "self",
    "http.client:HTTPResponse._close_conn": "self",
}
