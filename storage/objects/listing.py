"""Read the bucket's facts about objects without their bytes: of one, or of all below a prefix."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["ListedObject", "StoredObject", "object_pages"]


@dataclass(frozen=True, slots=True)
class StoredObject:
    """The bucket's facts about an object."""

    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object in a listing.

    Attributes:
        key: Of the object.
        size_bytes: Of its bytes.
        stored_at: When it was put.
    """

    key: str
    size_bytes: int
    stored_at: datetime


def object_pages(client: Any, bucket: str, prefix: str, after: str) -> Iterator[list[ListedObject]]:
    """List objects in the order of their keys, a page (at most 1,000) at a time.

    Args:
        client: boto3's.
        bucket: Its name.
        prefix: Of the keys.
        after: Only keys after this one; empty for all.
    """
    question = {"Bucket": bucket, "Prefix": prefix}
    if after:
        question["StartAfter"] = after
    for page in client.get_paginator("list_objects_v2").paginate(**question):
        yield [
            ListedObject(found["Key"], int(found["Size"]), found["LastModified"])
            for found in page.get("Contents", ())
        ]
