"""Retry steps with stamina, and log one line for each retry.

Stamina's own hooks are replaced for two reasons. They are imported at the first retry, which fails
if the process has no file descriptor left. They also log the arguments of the retried call, which
may contain prompts.
"""

import logging

from stamina import retry, retry_context
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

__all__ = ["retry", "retry_context"]

log = logging.getLogger(__name__)


def _log_retry(details: RetryDetails) -> None:
    log.warning(
        "a step is tried again",
        extra={"error": str(details.caused_by), "wait_s": round(details.wait_for, 2)},
    )


set_on_retry_hooks([_log_retry])
