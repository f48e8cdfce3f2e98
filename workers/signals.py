"""Handle signals of a worker: the first begins a drain, the second exits at once.

Celery ignores a second SIGTERM, and the interpreter's exit joins pool threads. If an operator sends
the signal twice, the process must end immediately. Leases and the spool make that safe.
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
    """Install the handlers in place of Celery's. Must be called from the main thread."""
    for signum in FIRST_LETS_CALLS_END:
        signal.signal(signum, _stop_gracefully)
    signal.signal(signal.SIGQUIT, _leave_at_once)


def _stop_gracefully(signum: int, _frame: FrameType | None) -> None:
    for other in FIRST_LETS_CALLS_END:
        signal.signal(other, _leave_at_once)
    log.info("stopping; the same signal again stops at once", extra={"signal": signum})
    # Celery's own flag: the consumer's loop checks it and begins the warm shutdown.
    state.should_stop = 0  # type: ignore[assignment]  # the stubs know only its first value


def _leave_at_once(signum: int, _frame: FrameType | None) -> None:
    os._exit(128 + signum)
