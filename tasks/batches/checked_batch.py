"""Collect the checked lines of a batch before it is loaded: the valid ones and the faults.

Memory stays small: valid lines are on disk, and only the first hundred faults are kept. The checks
themselves are in `service.py`.
"""

import hashlib
import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from uuid import NAMESPACE_URL, UUID, uuid5

import uuid_utils
from uuid_utils.compat import uuid7

from playground.request.request import ImageRequest
from tasks.batches.duplicate_keys import DuplicateKeys
from tasks.batches.staging import Staging
from tasks.batches.valid_line import ValidLine
from tasks.errors import BatchFaulty, LineFault

__all__ = ["BatchOptions", "CheckedBatch"]

MAX_FAULTS_LISTED: Final = 100

#: Measured on the simulator's pictures: the bytes of a PNG per pixel, roughly.
PNG_BYTES_PER_PIXEL: Final = 1.5

#: The default of width and height on the API's page.
DEFAULT_SIDE_PX: Final = 1024

#: The UUID namespace for the ids of batches that have a key.
_BATCHES: Final = uuid5(NAMESPACE_URL, "darkroom:batch")


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """Options that all lines of a batch share.

    Attributes:
        owner: the owner of the jobs.
        key: the idempotency key, unique per owner; a repeat submits nothing twice.
        name: a name for display, such as the file's.
        priority: the priority of lines that have none.
        defaults: parameters for lines that lack them.
        callback_url: an address that is notified when all jobs have ended.
        on_end: a Celery task that is sent then, instead of a webhook.
        reuse: whether lines with a seed may be answered with existing images; None for the owner's
            setting.
    """

    owner: str = "default"
    key: str | None = None
    name: str | None = None
    priority: int = 0
    defaults: Mapping[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    on_end: Mapping[str, Any] | None = None
    reuse: bool | None = None

    def batch_id(self) -> UUID:
        """Return the id: derived from owner and key, or a new one if there is no key."""
        return uuid7() if self.key is None else uuid5(_BATCHES, f"{self.owner}/{self.key}")

    def hash_with(self, content_sha256: str) -> str:
        """Return the hash that a repeat under the same key must match."""
        common: list[Any] = [content_sha256, self.priority, dict(self.defaults)]
        # Left out without a callback, so that the hashes of earlier batches stay valid.
        if (target := self.callback_url or self.on_end) is not None:
            common.append(target)
        shared = json.dumps(common, sort_keys=True, default=dict)
        return hashlib.sha256(shared.encode()).hexdigest()


class CheckedBatch:
    """Holds a batch whose lines are checked; a context manager that deletes its file.

    Attributes:
        batch_id: the id of the batch, loaded or not.
        callback: the target that is notified when all its jobs have ended, as its row stores it.
        faults: the first invalid lines, at most `MAX_FAULTS_LISTED`.
        fault_count: the number of invalid lines.
        count: the number of valid lines.
        estimated_bytes: the estimated size of their images.
    """

    def __init__(self, options: BatchOptions, callback: str | None = None) -> None:
        self.options = options
        self.callback = callback
        self.batch_id = options.batch_id()
        self._namespace = uuid_utils.UUID(str(self.batch_id))
        self.faults: list[LineFault] = []
        self.fault_count = 0
        self.count = 0
        self.estimated_bytes = 0
        self.request_hash = ""
        self._staging = Staging()
        self._repeats = DuplicateKeys()
        self._left_out: set[int] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the staged lines."""
        self._staging.close()

    def require_valid(self) -> None:
        """Raise an error if any line is invalid.

        Raises:
            BatchFaulty: some lines are invalid.
        """
        if self.fault_count:
            raise BatchFaulty(self.faults, self.fault_count)

    def job_id(self, number: int, key: str | None) -> uuid_utils.UUID:
        """Return the id of a line's job; it is the same in every repeat of the batch."""
        return uuid_utils.uuid5(self._namespace, f"line:{number}" if key is None else f"key:{key}")

    def fault(self, fault: LineFault) -> None:
        """Record an invalid line."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS_LISTED:
            self.faults.append(fault)

    def keep(self, line: ValidLine, job_id: uuid_utils.UUID, request: ImageRequest) -> None:
        """Stage a valid line for the load, under the id of its job."""
        self._staging.add(line)
        self.count += 1
        width, height = request.width or DEFAULT_SIDE_PX, request.height or DEFAULT_SIDE_PX
        self.estimated_bytes += round(width * height * PNG_BYTES_PER_PIXEL)
        if line.key is not None:
            self._repeats.add(job_id.bytes)

    def find_repeats(self) -> None:
        """Record lines that repeat the key of an earlier line as invalid."""
        halves = self._repeats.halves()
        if not halves:
            return
        first: dict[str, int] = {}
        found = []
        for valid in self._staging:
            line, key = valid.number, valid.key
            if key is None or DuplicateKeys.half_of(UUID(valid.job_id).bytes) not in halves:
                continue
            if first.setdefault(key, line) != line:
                found.append(LineFault(line, f"key {key!r} is that of line {first[key]} already"))
        self._left_out = {fault.line for fault in found}
        self.count -= len(found)
        self.fault_count += len(found)
        self.faults = heapq.nsmallest(MAX_FAULTS_LISTED, [*self.faults, *found])

    def lines(self) -> Iterator[ValidLine]:
        """Iterate over the valid lines."""
        return (line for line in self._staging if line.number not in self._left_out)
