"""Which release of Darkroom learnt which parameter, so that older workers leave such jobs alone.

A parameter or a value that the API's page gains is written down here, with the number of the
release that learns it, in the same change that adds it to the request. What every supported release
knows need not be here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = ["needed_release"]

#: By parameter: the number of the first release that knows it.
PARAMETERS: Final[Mapping[str, int]] = MappingProxyType({})

#: By parameter and value, for those that take one of a list: the same.
VALUES: Final[Mapping[tuple[str, str], int]] = MappingProxyType({})


def needed_release(request: Mapping[str, object], *, oldest: int) -> int | None:
    """Return the first release that knows all parameters of a request.

    Args:
        request: as a table row keeps it.
        oldest: the number of the oldest supported release.

    Returns:
        Its number; None if the oldest supported release knows them all.
    """
    if not PARAMETERS and not VALUES:
        return None
    numbers = [PARAMETERS.get(name, 0) for name in request]
    numbers += [VALUES.get((name, str(value)), 0) for name, value in request.items()]
    newest = max(numbers, default=0)
    return newest if newest > oldest else None
