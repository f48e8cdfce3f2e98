"""When this process may start its next call.

An answer of "too fast", a refused key or a server that is not the API says something about every
other call too. Until the moment it names, no executor thread of the process starts one.
"""

import threading
import time

__all__ = ["Pace"]


class Pace:
    """A moment before which no call starts, and whether calls have gone well since."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held_until = 0.0
        self._is_stopped = False
        self._went_well = False

    def hold(self, seconds: float) -> None:
        """Start no call for this long; a longer hold already in force stays."""
        with self._changed:
            self._held_until = max(self._held_until, time.monotonic() + seconds)
            self._went_well = False

    def note_success(self) -> None:
        """A call was answered with an image: what was refused before concerned that job alone."""
        self._went_well = True

    @property
    def went_well(self) -> bool:
        """Whether a call has succeeded since the last hold."""
        return self._went_well

    def wait(self) -> bool:
        """Wait until a call may start; False when the process stops meanwhile."""
        with self._changed:
            while not self._is_stopped:
                left_s = self._held_until - time.monotonic()
                if left_s <= 0:
                    return True
                self._changed.wait(left_s)
            return False

    def stop(self) -> None:
        """Wake every waiting thread: no further call starts."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
