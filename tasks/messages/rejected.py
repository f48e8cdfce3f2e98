"""Count rejected messages by reason, and log them without their text."""

import logging
import threading
from collections import Counter
from collections.abc import Mapping

from tasks.messages.fault import MessageFault, shown_id

__all__ = ["RejectedMessages"]

log = logging.getLogger(__name__)


class RejectedMessages:
    """Counts the messages that this process has rejected."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def note(self, queue: str, task_id: object, fault: MessageFault) -> None:
        """Count a rejected message and log one line about it."""
        with self._lock:
            self._counts[fault.reason] += 1
        log.error(
            "a message was rejected",
            extra={
                "queue": shown_id(queue),
                "task_id": shown_id(task_id),
                "reason": fault.reason,
                "error": fault.error,
            },
        )

    def counts(self) -> Mapping[str, int]:
        """Return how many messages were rejected since the process started, by reason."""
        with self._lock:
            return dict(self._counts)
