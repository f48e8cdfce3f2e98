"""Send dispatch messages on a thread of its own, one message for jobs that were accepted together.

A caller that accepts jobs does not wait for the broker. What arrives while a message is sent goes
into the next one. A process that is killed in between leaves jobs that are marked as dispatched and
were not sent: they are due again when their dispatch is stale, like those of a lost message.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from uuid import UUID

from storage.errors import StorageError

__all__ = ["SendThread"]

log = logging.getLogger(__name__)

#: Seconds between two rounds for waiting jobs: a round costs a dozen statements, however few jobs
#: it finds.
ROUND_EVERY_S = 0.05

#: The most waiting jobs that one round sends; the leader does the rest.
MAX_PER_ROUND = 500

#: Seconds for which a process that ends waits for what has still to be sent.
DRAIN_S = 5.0


class SendThread:
    """Send jobs soon, in the order in which they were passed; the thread starts with the first.

    Args:
        publish: sends messages for jobs that are marked as dispatched.
        send_due: reserves and sends up to so many due jobs.
    """

    def __init__(
        self,
        publish: Callable[[Sequence[UUID]], object],
        send_due: Callable[[int], object],
    ) -> None:
        self._publish = publish
        self._send_due = send_due
        self._changed = threading.Condition()
        self._reserved: list[UUID] = []
        self._waiting = 0
        self._next_round = 0.0
        self._is_sending = False
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def send(self, reserved: Sequence[UUID], *, waiting: int = 0) -> None:
        """Send jobs that are marked as dispatched, and due jobs for others that were accepted.

        Args:
            reserved: jobs whose rows were inserted as dispatched.
            waiting: how many others were accepted.
        """
        if not reserved and not waiting:
            return
        with self._changed:
            self._reserved += reserved
            self._waiting = min(self._waiting + waiting, MAX_PER_ROUND)
            self._changed.notify_all()
        self._start()

    def _start(self) -> None:
        with self._changed:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="dispatches", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no thread can be started now; the next call tries again
                log.warning("accepted jobs could not be sent yet: no thread could start")
                return
            self._thread = thread
        atexit.register(self.close)

    def drain(self, within_s: float = DRAIN_S) -> bool:
        """Wait until everything has been sent; return whether it was, within the time."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._has_work, within_s)

    def close(self) -> None:
        """Send what is left, within a limited time, and end the thread."""
        self.drain()
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        atexit.unregister(self.close)

    @property
    def _has_work(self) -> bool:
        return bool(self._reserved or self._waiting or self._is_sending)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._is_sending = False
                self._changed.notify_all()
                while not self._must_act():
                    self._changed.wait(self._patience_s())
                if self._is_closed:
                    return
                reserved, self._reserved = self._reserved, []
                waiting = self._waiting if self._is_round_due() else 0
                self._waiting -= waiting
                self._is_sending = True
            self._send(reserved, waiting)

    def _must_act(self) -> bool:
        return self._is_closed or bool(self._reserved) or self._is_round_due()

    def _is_round_due(self) -> bool:
        return self._waiting > 0 and time.monotonic() >= self._next_round

    def _patience_s(self) -> float | None:
        return max(0.0, self._next_round - time.monotonic()) if self._waiting else None

    def _send(self, reserved: Sequence[UUID], waiting: int) -> None:
        try:
            if reserved:
                self._publish(reserved)
            if waiting:
                self._next_round = time.monotonic() + ROUND_EVERY_S
                self._send_due(waiting)
        except StorageError as error:
            log.warning(
                "accepted jobs were left to the dispatcher",
                extra={"error": str(error)},
            )
        except Exception:  # later jobs depend on this thread; the dispatcher sends these
            log.exception("accepted jobs could not be dispatched")
