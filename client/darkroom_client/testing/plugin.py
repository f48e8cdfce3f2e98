"""Define the fixture `darkroom`, which pytest finds through this package's entry point.

pytest imports this file in every project that has the package installed, so it imports nothing
until a test requests the fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from darkroom_client.testing.fake import FakeDarkroom


@pytest.fixture
def darkroom() -> Iterator[FakeDarkroom]:
    """A gateway in memory: jobs succeed at once, or fail as `darkroom.fail_next(code=…)` says."""
    from darkroom_client.testing.fake import FakeDarkroom  # noqa: PLC0415 - see above

    with FakeDarkroom() as fake:
        yield fake
