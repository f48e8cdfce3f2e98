"""Which deliveries of a hook become jobs: conditions on the payload, all of which must hold.

A sender often has one address for many events. What a condition leaves out is answered like a
success, so that the sender does not send it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.hooks.paths import MISSING, Path, look_up

__all__ = ["Condition", "Scalar", "all_hold"]

Scalar: TypeAlias = str | bool | int | float
"""What a condition compares with."""


@dataclass(frozen=True, slots=True)
class Condition:
    """Something that must be so in the payload.

    Attributes:
        path: where to look.
        one_of: what may stand there; None to ask only whether anything does.
        exists: whether something other than null must stand there, or must not.
    """

    path: Path
    one_of: tuple[Scalar, ...] | None = None
    exists: bool = True

    def holds(self, payload: Any) -> bool:
        """Whether it is so."""
        found = look_up(payload, self.path)
        if self.one_of is None:
            return self.exists == (found is not MISSING and found is not None)
        return any(_same(found, wanted) for wanted in self.one_of)


def all_hold(conditions: Sequence[Condition], payload: Any) -> bool:
    """Whether every condition holds; without any, everything is let through."""
    return all(condition.holds(payload) for condition in conditions)


def _same(found: Any, wanted: Scalar) -> bool:
    """Equal as JSON is: `true` is not 1, and 1 is 1.0."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
