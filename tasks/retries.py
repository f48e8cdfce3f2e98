"""Retries by stamina, with a line in the log for each.

Its own hooks are replaced: they are looked for and imported at the first retry, which fails where
the process has no file descriptor left, and they log the arguments of what is retried, which may be
prompts.
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
