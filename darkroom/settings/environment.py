"""Variables that are no settings of ours, for files that name them: `env:SHOPIFY_SECRET`.

Read here, like all of the environment; who needs some gets them passed in.
"""

import os
from collections.abc import Mapping

__all__ = ["environment"]


def environment() -> Mapping[str, str]:
    """Every variable as it is now."""
    return dict(os.environ)
