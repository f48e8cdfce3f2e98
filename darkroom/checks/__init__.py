"""Checks of an installation: one file for each part that can be misconfigured or unavailable.

`darkroom doctor` runs all checks and continues after a fault. A worker runs those it depends on and
stops at the first fault. Both call the same functions: a check yields findings, and raises
`UserError` if it cannot continue. Printing findings is left to `darkroom/cli/admin/doctor.py`.
"""

from darkroom.checks.broker import connection_to_check
from darkroom.checks.finding import Finding, Level
from darkroom.checks.rounds import examine, look_before_work

__all__ = ["Finding", "Level", "connection_to_check", "examine", "look_before_work"]
