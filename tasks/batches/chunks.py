"""Divide the rows of a batch into chunks for one insert each, bounded in memory."""

from collections.abc import Iterable, Iterator
from typing import Final

from storage.intake.batch_rows import BatchRow
from storage.intake.insert import MAX_CHUNK_JOBS

__all__ = ["chunks_of"]

#: Chosen: the limit for the requests of one chunk; a usual chunk has a quarter of it.
MAX_CHUNK_CHARS: Final = 2_000_000


def chunks_of(rows: Iterable[BatchRow]) -> Iterator[list[BatchRow]]:
    """Yield chunks with limited rows and characters; three chunks are in memory at once."""
    chunk: list[BatchRow] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += len(row.request)
        if len(chunk) == MAX_CHUNK_JOBS or size >= MAX_CHUNK_CHARS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
