"""Filter a hook's deliveries by conditions on the payload; all conditions must hold.

A sender often has one address for many events. A filtered delivery gets a success response, so that
the sender does not send it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.hooks.paths import MISSING, Path, look_up

__all__ = ["Condition", "Scalar", "all_hold"]

Scalar: TypeAlias = str | bool | int | float
"""The types that a condition compares with."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the payload.

    Attributes:
        path: the path to the value.
        one_of: the accepted values; None to check only whether there is a value.
        exists: whether a value other than null must be present, or must be absent.
    """

    path: Path
    one_of: tuple[Scalar, ...] | None = None
    exists: bool = True

    def holds(self, payload: Any) -> bool:
        """Return whether the condition holds."""
        found = look_up(payload, self.path)
        if self.one_of is None:
            return self.exists == (found is not MISSING and found is not None)
        return any(_same(found, wanted) for wanted in self.one_of)


def all_hold(conditions: Sequence[Condition], payload: Any) -> bool:
    """Return whether every condition holds; without conditions, every payload is accepted."""
    return all(condition.holds(payload) for condition in conditions)


def _same(found: Any, wanted: Scalar) -> bool:
    """Compare as JSON does: `true` is not 1, and 1 equals 1.0."""
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)
