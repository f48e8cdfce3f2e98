"""Set what the engines of both databases have in common."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, Engine, create_engine
from sqlalchemy.pool import QueuePool

from storage.db.json_text import json_text

__all__ = ["pooled_engine"]

_POOL_TIMEOUT_S = 30.0


def pooled_engine(address: URL, *, pool_size: int, **options: Any) -> Engine:
    """Make an engine with a fixed number of connections, whose errors contain no parameters."""
    return create_engine(
        address,
        poolclass=QueuePool,
        pool_size=pool_size,
        pool_timeout=_POOL_TIMEOUT_S,
        max_overflow=0,
        hide_parameters=True,
        json_serializer=json_text,
        **options,
    )
