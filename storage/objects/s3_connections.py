"""Make a boto3 client skip interim responses, and not ask for any.

botocore takes a 103 for the answer to a put, and the put was then refused. Its handling of
`Expect: 100-continue` reads heads in its own way, and so is not used: the fast put sends the body
at once, too. The client's own connection classes are replaced; other clients in the process do
not change.
"""

from __future__ import annotations

from typing import Any

from botocore.handlers import add_expect_header

from http1 import with_final_responses

__all__ = ["use_final_responses"]

_EVENT = "before-call.s3"


def use_final_responses(client: Any) -> None:
    """Make a boto3 client of S3 skip interim responses, directly and through proxies.

    Args:
        client: Newly created, with no connection open.
    """
    # The session passes this mapping object to each of its pool managers.
    pool_classes = client._endpoint.http_session._pool_classes_by_scheme  # noqa: SLF001 - botocore has no other name for it
    for scheme, pool_class in list(pool_classes.items()):
        pool_classes[scheme] = with_final_responses(pool_class)
    client.meta.events.unregister(_EVENT, add_expect_header)
