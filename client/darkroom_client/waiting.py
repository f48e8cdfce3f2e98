"""Poll for an end: decide when to poll again, and when to give up.

Polls are frequent at first and then ever rarer, with jitter, so that many waiting clients do not
all poll at the same moment.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from darkroom_client import errors
from darkroom_client.connection import Ask, Connection

_dice = random.SystemRandom()

_FIRST_REST_S = 0.25
#: An image takes seconds.
_MOST_REST_S = 5.0


class Waiting:
    """One wait, from now.

    Args:
        timeout_s: longest wait in total; None for no limit. With a limit, an unavailable gateway is
            waited for as well.
        start_timeout_s: longest wait for a start; None for no such limit.
    """

    def __init__(self, *, timeout_s: float | None, start_timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._begun = time.monotonic()
        self._rest_s = _FIRST_REST_S

    def look(
        self, connection: Connection, path: str, hear: Callable[[object], None]
    ) -> float | None:
        """Poll once.

        Returns:
            The wait that an unavailable gateway requests; 0 if it requests none.
        """
        left_s = self._left_s(self._timeout_s)
        if left_s is None:
            hear(connection.json(Ask("GET", path))[1])
            return None
        longest_s = min(connection.read_timeout_s, max(left_s, 1.0))
        try:
            hear(connection.json(Ask("GET", path, repeatable=False, read_timeout_s=longest_s))[1])
        except (errors.Unavailable, errors.TooManyRequests) as error:
            if isinstance(error, errors.NoAnswer) and error.lasting:
                raise
            return error.retry_after_s
        return None

    def rest(self, what: str, *, started: bool, asked_s: float | None) -> None:
        """Sleep until it is time to poll again.

        Raises:
            StartTimeout: it has not started, and the time for that is over.
            WaitTimeout: the time is over.
        """
        rest_s = max(self._rest_s * _dice.uniform(0.75, 1.25), asked_s or 0.0)
        self._rest_s = min(_MOST_REST_S, self._rest_s * 1.5)
        to_start_s = None if started else self._left_s(self._start_timeout_s)
        if to_start_s is not None and to_start_s <= 0:
            raise errors.StartTimeout(f"{what} was not begun within {self._start_timeout_s:g} s")
        left_s = self._left_s(self._timeout_s)
        if left_s is not None and left_s <= 0:
            raise errors.WaitTimeout(f"{what} had not ended within {self._timeout_s:g} s")
        time.sleep(min(each for each in (rest_s, to_start_s, left_s) if each is not None))

    def _left_s(self, bound_s: float | None) -> float | None:
        return None if bound_s is None else bound_s - (time.monotonic() - self._begun)
