"""Record the release that introduced each parameter, so that older workers skip such jobs.

When the API's page gains a parameter or a value, add it here in the same change that adds it to the
request. Give the number of the release that introduces it. What every supported release handles
need not be here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["needed_release"]

#: By parameter: the number of the first release that handles it.
PARAMETERS: Final[Mapping[str, int]] = MappingProxyType({})

#: By parameter and value, for parameters with a list of values: the same.
VALUES: Final[Mapping[tuple[str, str], int]] = MappingProxyType({})


def needed_release(request: Mapping[str, object], *, oldest: int) -> int | None:
    """Return the first release that handles all parameters of a request.

    Args:
        request: as a table row stores it.
        oldest: the number of the oldest supported release.

    Returns:
        Its number; None if the oldest supported release handles them all.
    """
    if not PARAMETERS and not VALUES:
        return None
    numbers = [PARAMETERS.get(name, 0) for name in request]
    numbers += [VALUES.get((name, str(value)), 0) for name, value in request.items()]
    newest = max(numbers, default=0)
    return newest if newest > oldest else None
