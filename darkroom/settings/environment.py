"""Read variables that are not Darkroom settings, for files that name them: `env:SHOPIFY_SECRET`.

They are read here, like all of the environment. Callers get the values passed in.
"""

import os
from collections.abc import Mapping

__all__ = ["environment"]


def environment() -> Mapping[str, str]:
    """Return every environment variable with its current value."""
    return dict(os.environ)
