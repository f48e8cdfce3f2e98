"""A background loop whose waits take no time, and which ends by itself."""

from tasks.background import BackgroundLoop

__all__ = ["Rests"]


class Rests:
    """Note how long each wait of a loop was to be; end the loop at one of them.

    Args:
        loop: it has not started.
        last: the number of the wait at which the loop ends.
    """

    def __init__(self, loop: BackgroundLoop, *, last: int) -> None:
        self.seconds: list[float] = []
        self._loop, self._last = loop, last
        for event in (loop.stopping, loop._woken):
            vars(event).update(wait=self._wait)

    def _wait(self, timeout: float) -> bool:
        assert timeout >= 0
        self.seconds.append(timeout)
        if len(self.seconds) == self._last:
            self._loop.end()
        return False
