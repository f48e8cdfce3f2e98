"""What can be wrong with an installation, one file for each thing that is looked at.

`darkroom doctor` looks at everything and goes on after a fault; a worker looks at what it cannot
do without and stops at the first. Both call the same checks. A check yields findings, and raises
`UserError` where nothing more can be said.
"""

from darkroom.checks.broker import connection_to_check
from darkroom.checks.finding import Finding, Level
from darkroom.checks.rounds import examine, look_before_work

__all__ = ["Finding", "Level", "connection_to_check", "examine", "look_before_work"]
