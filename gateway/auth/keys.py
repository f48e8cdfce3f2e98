"""Authenticate a caller by an `Authorization` header and the table of keys.

A missing, malformed, unknown or revoked key gets the same refusal, so a caller cannot learn which
of them it was. The secret itself stays in this file: the cache holds its hash, and it is never
logged.
"""

import logging
import re
import time
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from typing import Final

from gateway.auth.caller import Caller, Lookup, Scope, anyone
from gateway.errors import Unauthenticated
from storage.db.database import Database
from storage.errors import DatabaseError
from storage.owners.api_keys import ApiKey, any_keys, find_key, note_key_used
from tasks.ttl_cache import TTLCache

__all__ = ["KeyHolders"]

log = logging.getLogger(__name__)

#: How long a revoked key may still be accepted, and how long a gateway may take to see its first
#: key.
REMEMBER_S: Final = 3.0

#: Cached valid keys, and cached invalid ones. They are separate, so guesses cannot evict valid
#: keys.
MOST_GOOD: Final = 10_000
MOST_WRONG: Final = 1_000

# RFC 6750, section 2.1; the scheme is case-insensitive (RFC 9110, section 11.1). Anything longer
# than the longest secret that Darkroom issues is invalid.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,128}=*)", re.ASCII | re.IGNORECASE)

_SCOPES: Final = {str(scope): scope for scope in Scope}


class KeyHolders:
    """Find callers by their keys.

    Args:
        database: the results table.
        open_until_keys: if true, every caller is the owner "default" until the first key is made.
            Only for a gateway that cannot be reached from other machines.
        clock: returns seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        open_until_keys: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._must_ask = not open_until_keys
        self._no_keys: TTLCache[None, bool] = TTLCache(for_s=REMEMBER_S, most=1, clock=clock)
        self._good: TTLCache[bytes, ApiKey] = TTLCache(
            for_s=REMEMBER_S, most=MOST_GOOD, clock=clock
        )
        self._wrong: TTLCache[bytes, None] = TTLCache(
            for_s=REMEMBER_S, most=MOST_WRONG, clock=clock
        )
        self._clock = clock

    def recall(self, authorization: str | None) -> Caller | Lookup:
        """Authenticate the caller without a statement, or return the look-up that takes one.

        Args:
            authorization: the header as received.

        Raises:
            Unauthenticated: the key is missing, or known to be invalid.
        """
        look_up = partial(self.authenticate, authorization)
        if not self._must_ask:
            has_keys = self._no_keys.recall(None)
            return anyone(authorization) if has_keys == (False,) else look_up
        known = self._known(_digest_of(_secret_of(authorization)))
        return look_up if known is None else _caller(known[0])

    def authenticate(self, authorization: str | None) -> Caller:
        """Authenticate the caller.

        Args:
            authorization: the header as received.

        Raises:
            Unauthenticated: the key is missing or invalid.
            DatabaseUnavailable: the keys cannot be read.
        """
        if self._is_open():
            return anyone(authorization)
        return _caller(self._key(_secret_of(authorization)))

    def _is_open(self) -> bool:
        if self._must_ask:
            return False
        self._must_ask = self._no_keys.answer(None, lambda: any_keys(self._database))
        return not self._must_ask

    def _known(self, digest: bytes) -> tuple[ApiKey | None] | None:
        return self._good.recall(digest) or self._wrong.recall(digest)

    def _key(self, secret: str) -> ApiKey | None:
        digest = _digest_of(secret)
        known = self._known(digest)
        if known is not None:
            return known[0]
        asked_s = self._clock()
        key = find_key(self._database, secret)
        if key is None:
            self._wrong.keep(digest, None, asked_s)
            return None
        self._good.keep(digest, key, asked_s)
        if not key.used_today:
            self._note(key)
        return key

    def _note(self, key: ApiKey) -> None:
        """Record the day on which a key was used, so that unused keys can be found.

        No request waits for it.
        """
        try:
            note_key_used(self._database, key.id)
        except DatabaseError as error:
            log.warning(
                "the use of a key could not be noted: %s", error, extra={"key_id": str(key.id)}
            )


def _secret_of(authorization: str | None) -> str:
    bearer = _BEARER.fullmatch(authorization or "")
    if bearer is None:
        raise Unauthenticated
    return bearer[1]


def _digest_of(secret: str) -> bytes:
    return sha256(secret.encode("ascii")).digest()


def _caller(key: ApiKey | None) -> Caller:
    if key is None:
        raise Unauthenticated
    scopes = frozenset(_SCOPES[scope] for scope in key.scopes if scope in _SCOPES)
    return Caller(owner=key.owner, scopes=scopes)
