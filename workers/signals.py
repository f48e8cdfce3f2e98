"""What signals do to a worker: the first lets calls end, the second leaves at once.

Celery ignores a second SIGTERM, and the interpreter's exit joins pool threads; an operator who
insists must get a process that is gone. Leases and the spool make that safe.
"""

import logging
import os
import signal
from types import FrameType

from celery.worker import state

__all__ = ["leave_on_signals"]

log = logging.getLogger(__name__)

FIRST_LETS_CALLS_END = (signal.SIGTERM, signal.SIGINT)


def leave_on_signals() -> None:
    """Install the handlers, in place of Celery's. Call from the main thread."""
    for signum in FIRST_LETS_CALLS_END:
        signal.signal(signum, _let_calls_end)
    signal.signal(signal.SIGQUIT, _leave_at_once)


def _let_calls_end(signum: int, _frame: FrameType | None) -> None:
    for other in FIRST_LETS_CALLS_END:
        signal.signal(other, _leave_at_once)
    log.info("stopping; the same signal again leaves at once", extra={"signal": signum})
    # Celery's own flag: the consumer sees it at its next turn and begins the warm shutdown.
    state.should_stop = 0  # type: ignore[assignment]  # the stubs know only its first value


def _leave_at_once(signum: int, _frame: FrameType | None) -> None:
    os._exit(128 + signum)
