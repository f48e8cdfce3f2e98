"""Checks that a worker runs before it claims a job: a wrong setting must not cost a paid call."""

import logging

from darkroom.checks import Level, look_before_work
from darkroom.wiring.factory import Wiring

__all__ = ["check_worker"]

log = logging.getLogger(__name__)


def check_worker(wiring: Wiring) -> None:
    """Refuse to start if a setting cannot work; log findings that are only doubtful.

    Raises:
        UserError: one line that names the setting and the address that was tried.
    """
    for finding in look_before_work(wiring):
        if finding.level is not Level.OK:
            log.warning(finding.line)
