"""What botocore knows of S3, read once.

It is two megabytes of JSON, and each session of the library parses them anew: that is most of what
a client costs. One reader serves all sessions of a tester, and of what is forked from a process
that has imported this.
"""

from functools import cache

import botocore.session
from botocore.loaders import Loader, create_loader

__all__ = ["share_data"]

_WHAT_A_CLIENT_READS = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def share_data() -> None:
    """Have every session read from one loader, which has read what S3 takes already."""
    shared = cache(create_loader)
    loader: Loader = shared(None)
    for name in _WHAT_A_CLIENT_READS:
        loader.load_data(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", kind)
    botocore.session.create_loader = shared
