"""What a worker makes sure of before it takes a job: a wrong setting must not cost a paid call."""

import logging

from darkroom.checks import Level, look_before_work
from darkroom.wiring.factory import Wiring

__all__ = ["check_worker"]

log = logging.getLogger(__name__)


def check_worker(wiring: Wiring) -> None:
    """Refuse to start where a setting cannot work; log what is merely doubtful.

    Raises:
        UserError: one line that names the setting and the address that was tried.
    """
    for finding in look_before_work(wiring):
        if finding.level is not Level.OK:
            log.warning(finding.line)
