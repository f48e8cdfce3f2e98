"""Write and read a spool file: one call's images, written whole or not at all, and verified.

The first line is a header (job, fence, and each image's SHA-256, size, width and height) behind its
own checksum. Otherwise a flipped bit in a job id could send an image to another job. The images'
bytes follow. A file is written under a temporary name in the same folder and renamed. So a crash at
any moment leaves a whole file or a temporary one. Errors of the disk are translated here.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

from storage.buffers import Pieces, sha256_of, size_of
from storage.errors import SpoolFull, SpoolMissing, SpoolUnavailable

SUFFIX = ".spool"
PART_SUFFIX = ".part"

_VERSION = 1
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_MAX_HEADER_BYTES = 65536
_DIGEST_CHARS = 16
# POSIX guarantees 16 only; Linux and macOS accept 1,024.
_MOST_PARTS = 16


@dataclass(frozen=True, slots=True)
class SpooledImage:
    """An image in memory.

    Attributes:
        pieces: The PNG, as it will be stored.
        width: Pixels.
        height: Pixels.
    """

    pieces: Pieces
    width: int
    height: int

    @property
    def size_bytes(self) -> int:
        """Return the size of the PNG."""
        return size_of(self.pieces)


@dataclass(frozen=True, slots=True)
class SpooledFacts:
    """An image's facts in the header."""

    sha256: str
    size_bytes: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """One call's images on disk.

    Attributes:
        path: The file.
        job_id: The job of the images.
        fence: Of the claim they were made under.
        size_bytes: Of the file.
        images: In the order of the answer.
    """

    path: Path
    job_id: UUID
    fence: int
    size_bytes: int
    images: tuple[SpooledFacts, ...]


class NotAsWritten(Exception):
    """A file differs from what was written.

    Attributes:
        entry: What its header says, None if that cannot be read either.
    """

    def __init__(self, reason: str, entry: SpoolEntry | None = None) -> None:
        self.entry = entry
        super().__init__(reason)


@contextmanager
def disk_translated(path: Path) -> Iterator[None]:
    """Run a block, and translate the disk errors that it raises.

    Raises:
        SpoolFull: There is no space left.
        SpoolUnavailable: Any other disk error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise SpoolFull(f"no room for the spool: {error.strerror} at {path}") from error
        raise SpoolUnavailable(f"the spool at {path} cannot be used: {error}") from error


def encode(job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> tuple[bytes, SpoolEntry]:
    """Return the header line of a file, and its entry (without a path yet)."""
    facts = tuple(
        SpooledFacts(sha256_of(i.pieces), size_of(i.pieces), i.width, i.height) for i in images
    )
    rows = [[f.sha256, f.size_bytes, f.width, f.height] for f in facts]
    header = {"v": _VERSION, "job": str(job_id), "fence": fence, "images": rows}
    words = json.dumps(header, separators=(",", ":")).encode()
    line = _digest(words) + b" " + words + b"\n"
    size_bytes = len(line) + sum(f.size_bytes for f in facts)
    return line, SpoolEntry(Path(), job_id, fence, size_bytes, facts)


def unwritten_entry(job_id: UUID, fence: int, images: Sequence[SpooledImage]) -> SpoolEntry:
    """Return the entry of images that no file holds because the disk refused them."""
    _, entry = encode(job_id, fence, images)
    return entry


def is_unchanged(entry: SpoolEntry, images: Sequence[SpooledImage]) -> bool:
    """Hash images in memory again; return whether they match an entry."""
    return [facts.sha256 for facts in entry.images] == [sha256_of(i.pieces) for i in images]


def write_file(temporary: Path, path: Path, parts: Pieces, *, fsync: bool) -> None:
    """Write a file whole or not at all; its name need not be on disk yet.

    Args:
        temporary: A name in the same folder, of no file or of one that may be overwritten.
        path: Its final name; no file has it yet.
        parts: Its bytes, in order.
        fsync: Wait until the disk has written them.

    Raises:
        SpoolFull: There is no space; nothing is left behind.
        SpoolUnavailable: The disk failed; nothing is left behind unless that fails too.
    """
    with disk_translated(path.parent):
        try:
            # Not truncated first: reusing the file's blocks and pages is what makes it cheaper.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _write_all(descriptor, parts)
                if os.fstat(descriptor).st_size > size_of(parts):
                    os.ftruncate(descriptor, size_of(parts))
                if fsync:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.rename(path)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_header(path: Path) -> SpoolEntry:
    """Read a file's header; the images themselves are not read.

    Raises:
        NotAsWritten: The header or the length is wrong.
        SpoolUnavailable: The disk failed.
    """
    with disk_translated(path), path.open("rb") as file:
        line = file.readline(_MAX_HEADER_BYTES)
        found_bytes = os.fstat(file.fileno()).st_size
    entry = _decode(path, line)
    if found_bytes != entry.size_bytes:
        raise NotAsWritten(f"{found_bytes} bytes, {entry.size_bytes} expected", entry)
    return entry


def read_images(entry: SpoolEntry) -> list[bytes]:
    """Return the images of a file, each compared with its SHA-256.

    Raises:
        NotAsWritten: One of them differs from what was written.
        SpoolMissing: The file no longer exists.
        SpoolUnavailable: The disk failed.
    """
    with disk_translated(entry.path):
        try:
            file = entry.path.open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise SpoolMissing(entry.path, entry.job_id, entry.fence) from error
        with file:
            line = file.readline(_MAX_HEADER_BYTES)
            pictures = [file.read(facts.size_bytes) for facts in entry.images]
            rest = file.read(1)
    if _decode(entry.path, line) != entry or rest:
        raise NotAsWritten("the header changed", entry)
    for facts, data in zip(entry.images, pictures, strict=True):
        if len(data) != facts.size_bytes or sha256(data).hexdigest() != facts.sha256:
            raise NotAsWritten("a picture's SHA-256 does not match", entry)
    return pictures


def _write_all(descriptor: int, parts: Pieces) -> None:
    """Write pieces in as few system calls as possible: each releases the interpreter's lock."""
    left = [memoryview(part) for part in parts]
    while left:
        written_bytes = os.writev(descriptor, left[:_MOST_PARTS])
        while left and written_bytes >= len(left[0]):
            written_bytes -= len(left.pop(0))
        if written_bytes:
            left[0] = left[0][written_bytes:]


def _decode(path: Path, line: bytes) -> SpoolEntry:
    digest, _, words = line.rstrip(b"\n").partition(b" ")
    if not line.endswith(b"\n") or digest != _digest(words):
        raise NotAsWritten("the header is cut short or changed")
    header: dict[str, Any] = json.loads(words)
    if header.get("v") != _VERSION:
        raise NotAsWritten(f"written by another release (format {header.get('v')!r})")
    facts = tuple(SpooledFacts(*row) for row in header["images"])
    size_bytes = len(line) + sum(f.size_bytes for f in facts)
    return SpoolEntry(path, UUID(header["job"]), int(header["fence"]), size_bytes, facts)


def _digest(words: bytes) -> bytes:
    return sha256(words).hexdigest()[:_DIGEST_CHARS].encode()
