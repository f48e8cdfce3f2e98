"""A batch between its file and the table: which lines are good, which are not, and why.

What makes a line good is `service.py`'s business; here is only what is remembered of it, in little
memory: good lines lie on disk, and of the faulty ones the first hundred are told.
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
from tasks.batches.valid_line import GoodLine
from tasks.errors import BatchFaulty, LineFault

__all__ = ["MAX_FAULTS_TOLD", "BatchOptions", "CheckedBatch"]

MAX_FAULTS_TOLD: Final = 100

#: Ours, measured on the simulator's pictures: a PNG takes about so many bytes a pixel.
PNG_BYTES_PER_PIXEL: Final = 1.5

#: The page's default side.
DEFAULT_SIDE_PX: Final = 1024

#: Namespace of the ids of batches that have a key.
_BATCHES: Final = uuid5(NAMESPACE_URL, "darkroom:batch")


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """What all lines of a batch have in common.

    Attributes:
        owner: whose jobs they are.
        key: handing in again under it hands in nothing twice; unique per owner.
        name: for people, such as the file's name.
        priority: of lines that name none.
        defaults: parameters of lines that don't have them.
        callback_url: an address that is told when all jobs have ended.
        on_end: a Celery task that is sent then, instead.
        reuse: of lines that choose a seed, whether they are answered with pictures made before;
            None as the owner has it.
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
        """The same for the same key of the same owner; a new one without a key."""
        return uuid7() if self.key is None else uuid5(_BATCHES, f"{self.owner}/{self.key}")

    def hash_with(self, content_sha256: str) -> str:
        """What another batch under the same key must have in common with this one."""
        common: list[Any] = [content_sha256, self.priority, dict(self.defaults)]
        # Left out where nobody is to be told, so that the keys of earlier batches stay good.
        if (told := self.callback_url or self.on_end) is not None:
            common.append(told)
        shared = json.dumps(common, sort_keys=True, default=dict)
        return hashlib.sha256(shared.encode()).hexdigest()


class CheckedBatch:
    """A batch whose every line has been looked at; a context manager, for its file on disk.

    Attributes:
        batch_id: the id it has, or will have.
        callback: whom to tell when all its jobs have ended, as its row keeps it.
        faults: the first faulty lines, at most `MAX_FAULTS_TOLD`.
        fault_count: how many lines are faulty.
        count: how many lines are good.
        estimated_bytes: about what their pictures will take.
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
        """Forget the good lines."""
        self._staging.close()

    def require_good(self) -> None:
        """Insist that no line is faulty.

        Raises:
            BatchFaulty: some are.
        """
        if self.fault_count:
            raise BatchFaulty(self.faults, self.fault_count)

    def job_id(self, number: int, key: str | None) -> uuid_utils.UUID:
        """The id of a line's job: the same however often the batch is handed in."""
        return uuid_utils.uuid5(self._namespace, f"line:{number}" if key is None else f"key:{key}")

    def fault(self, fault: LineFault) -> None:
        """Note a faulty line."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS_TOLD:
            self.faults.append(fault)

    def keep(self, line: GoodLine, job_id: uuid_utils.UUID, request: ImageRequest) -> None:
        """Keep a good line, which will be this job, for the load."""
        self._staging.add(line)
        self.count += 1
        width, height = request.width or DEFAULT_SIDE_PX, request.height or DEFAULT_SIDE_PX
        self.estimated_bytes += round(width * height * PNG_BYTES_PER_PIXEL)
        if line.key is not None:
            self._repeats.add(job_id.bytes)

    def find_repeats(self) -> None:
        """Turn lines whose key an earlier line has into faulty ones."""
        halves = self._repeats.halves()
        if not halves:
            return
        first: dict[str, int] = {}
        found = []
        for good in self._staging:
            line, key = good.number, good.key
            if key is None or DuplicateKeys.half_of(UUID(good.job_id).bytes) not in halves:
                continue
            if first.setdefault(key, line) != line:
                found.append(LineFault(line, f"key {key!r} is that of line {first[key]} already"))
        self._left_out = {fault.line for fault in found}
        self.count -= len(found)
        self.fault_count += len(found)
        self.faults = heapq.nsmallest(MAX_FAULTS_TOLD, [*self.faults, *found])

    def lines(self) -> Iterator[GoodLine]:
        """The good lines."""
        return (line for line in self._staging if line.number not in self._left_out)
