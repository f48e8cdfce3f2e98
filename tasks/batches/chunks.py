"""The rows of a batch in pieces that one insert takes, and that memory does."""

from collections.abc import Iterable, Iterator
from typing import Final

from storage.intake.batch_rows import BatchRow
from storage.intake.insert import MAX_CHUNK_JOBS

__all__ = ["chunks_of"]

#: Ours: of the requests of one chunk, where lines are long; usual ones take a quarter of it.
MAX_CHUNK_CHARS: Final = 2_000_000


def chunks_of(rows: Iterable[BatchRow]) -> Iterator[list[BatchRow]]:
    """Rows in pieces that are neither many nor large: three of them are in memory at once."""
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
