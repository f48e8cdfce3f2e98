"""Cache answers for a few seconds, with a bounded number of entries.

While a cached answer is fresh, a request needs no database query. A change, such as a revoked key,
may stay unnoticed for the same time. The caller sets how long that is.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

__all__ = ["TTLCache"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Cache answers by question, each for a fixed time; safe to share between threads.

    Args:
        for_s: seconds for which an answer is fresh, from when it was requested.
        most: the number of answers to keep; beyond that the oldest is dropped.
        clock: returns seconds.
    """

    def __init__(
        self, *, for_s: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._for_s = for_s
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._answers: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def answer(self, question: K, ask: Callable[[], V]) -> V:
        """Return the answer, cached or requested now.

        An exception raised by `ask` is not cached.
        """
        found = self.recall(question)
        if found is not None:
            return found[0]
        asked_s = self._clock()
        value = ask()
        self.keep(question, value, asked_s)
        return value

    def recall(self, question: K) -> tuple[V] | None:
        """Return the cached answer in a tuple, because it may be None; None if there is none."""
        with self._lock:
            found = self._answers.get(question)
            if found is None:
                return None
            if self._clock() - found[0] >= self._for_s:
                del self._answers[question]
                return None
            return (found[1],)

    def keep(self, question: K, value: V, asked_s: float) -> None:
        """Cache an answer.

        Args:
            question: the key of the entry.
            value: the answer.
            asked_s: the clock before the answer was requested: the answer is as old as that.
        """
        with self._lock:
            self._answers[question] = (asked_s, value)
            self._answers.move_to_end(question)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
