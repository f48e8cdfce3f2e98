"""What was looked up a moment ago and is still good enough: for seconds, and never without bound.

A request costs no question to the table where the last one's answer is seconds old. That is also
how long a change, such as a revoked key, may go unnoticed; who remembers says how long that is.
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
    """Answers by question, each for so long; safe to share between threads.

    Args:
        for_s: seconds that an answer is good for, from when it was asked for.
        most: answers kept; beyond that the oldest is forgotten.
        clock: tells seconds.
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
        """The answer, remembered or asked for now; whatever `ask` raises is not remembered."""
        found = self.recall(question)
        if found is not None:
            return found[0]
        asked_s = self._clock()
        value = ask()
        self.keep(question, value, asked_s)
        return value

    def recall(self, question: K) -> tuple[V] | None:
        """What is remembered, in a tuple, as it may be None; None for nothing."""
        with self._lock:
            found = self._answers.get(question)
            if found is None:
                return None
            if self._clock() - found[0] >= self._for_s:
                del self._answers[question]
                return None
            return (found[1],)

    def keep(self, question: K, value: V, asked_s: float) -> None:
        """Remember an answer.

        Args:
            question: what was asked.
            value: the answer.
            asked_s: the clock before it was asked: the answer is as old as that.
        """
        with self._lock:
            self._answers[question] = (asked_s, value)
            self._answers.move_to_end(question)
            while len(self._answers) > self._most:
                self._answers.popitem(last=False)
