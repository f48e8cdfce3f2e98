"""From an `Authorization` header to a caller, by the table of keys.

A key that is missing, malformed, unknown or revoked gives one and the same refusal, so that nobody
learns which it was. The secret itself goes no further than this file: what is remembered is its
hash, and nothing is logged of it.
"""

import logging
import re
import time
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from gateway.auth.caller import Caller, Scope, anyone
from gateway.auth.ttl_cache import TTLCache
from gateway.errors import Unauthenticated
from storage.db.database import Database
from storage.errors import DatabaseError
from storage.owners.api_keys import ApiKey, any_keys, find_key, note_key_used

__all__ = ["KeyHolders"]

log = logging.getLogger(__name__)

#: How long a revoked key may still be good, and how long a gateway takes to see its first key.
REMEMBER_S: Final = 3.0

#: Good keys in use at once, and wrong ones: apart, so that guesses cannot push out what is good.
MOST_GOOD: Final = 10_000
MOST_WRONG: Final = 1_000

# RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1). Longer than
# any secret of ours is no secret of ours.
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]{1,128}=*)", re.ASCII | re.IGNORECASE)

_SCOPES: Final = {str(scope): scope for scope in Scope}


class KeyHolders:
    """Knows callers by their keys; hand it to `Services.authenticate`.

    Args:
        database: the results table.
        open_until_keys: while no key was ever made, everybody is the owner "default"; only for a
            gateway that nobody reaches from elsewhere.
        clock: tells seconds.
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

    def __call__(self, authorization: str | None) -> Caller:
        """Find out who it is.

        Args:
            authorization: the header, as it came.

        Raises:
            Unauthenticated: no key, or none that is good.
            DatabaseUnavailable: nobody knows.
        """
        if self._is_open():
            return anyone(authorization)
        bearer = _BEARER.fullmatch(authorization or "")
        key = None if bearer is None else self._key(bearer[1])
        if key is None:
            raise Unauthenticated
        scopes = frozenset(_SCOPES[scope] for scope in key.scopes if scope in _SCOPES)
        return Caller(owner=key.owner, scopes=scopes)

    def _is_open(self) -> bool:
        if self._must_ask:
            return False
        self._must_ask = self._no_keys.answer(None, lambda: any_keys(self._database))
        return not self._must_ask

    def _key(self, secret: str) -> ApiKey | None:
        digest = sha256(secret.encode("ascii")).digest()
        known = self._good.recall(digest) or self._wrong.recall(digest)
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
        """Note the day for people who look for keys that nobody uses; nobody waits for it."""
        try:
            note_key_used(self._database, key.id)
        except DatabaseError as error:
            log.warning(
                "the use of a key could not be noted: %s", error, extra={"key_id": str(key.id)}
            )
