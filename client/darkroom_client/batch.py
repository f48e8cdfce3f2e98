"""Many jobs handed in together, followed by one id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from darkroom_client.connection import Ask, Connection
from darkroom_client.errors import Fault, NotTheGateway
from darkroom_client.events import Stream
from darkroom_client.problems import faults_of
from darkroom_client.waiting import Waiting

_ENDS = ("succeeded", "failed", "cancelled")
_STATES = ("queued", "running", "storing", *_ENDS)


@dataclass(frozen=True)
class BatchState:
    """A batch as it was when the gateway was asked.

    Attributes:
        total: how many jobs it has.
        counts: how many of them are in each state; they lag behind by a moment.
        raw: all that the gateway said.
    """

    id: str
    total: int
    counts: Mapping[str, int]
    raw: Mapping[str, Any]

    @property
    def done(self) -> int:
        """How many jobs have ended, well or not."""
        return sum(self.counts.get(name, 0) for name in _ENDS)

    @property
    def ended(self) -> bool:
        """Whether all have."""
        return self.done >= self.total


@dataclass(frozen=True)
class Result:
    """What became of one line of a batch.

    Attributes:
        id: the job's.
        key: the line's own name, if it had one.
        status: the job's, as for `Job.status`.
        raw: all that the gateway said.
    """

    id: str
    key: str | None
    status: str
    metadata: Mapping[str, Any] | None
    seed: int | None
    error: Mapping[str, Any] | None
    object_keys: tuple[str, ...]
    raw: Mapping[str, Any]


class Batch:
    """A handle on one batch, made by `Client.submit_many` or, from an id, by `Client.batch`.

    Attributes:
        id: the batch's id.
        created: False if the key found a batch that was there before; None if unknown.
        faults: of lines that were left out, if leaving out was asked for.
    """

    def __init__(
        self,
        connection: Connection,
        batch_id: str,
        told: object = None,
        *,
        created: bool | None = None,
    ) -> None:
        self._connection = connection
        self._state: BatchState | None = None
        self.id = batch_id
        self.created = created
        self.faults: tuple[Fault, ...] = ()
        if isinstance(told, dict):
            self.faults = faults_of(told.get("faults"))

    def __repr__(self) -> str:
        return f"<Batch {self.id}>"

    @property
    def state(self) -> BatchState:
        """What the gateway last said; asked for if it never was."""
        return self.refresh().state if self._state is None else self._state

    def refresh(self) -> Batch:
        """Ask the gateway how the batch is; the handle itself, brought up to date.

        Raises:
            NotFound: there is no such batch, or it is another owner's.
        """
        self._hear(self._connection.json(Ask("GET", self._path))[1])
        return self

    def wait(self, *, timeout_s: float | None = None) -> Batch:
        """Wait until all jobs have ended, well or not: `state.counts` tells how many did how.

        Args:
            timeout_s: longest wait; None is for as long as it takes.

        Raises:
            WaitTimeout: they had not; they go on.
        """
        clock = Waiting(timeout_s=timeout_s)
        while True:
            asked_s = clock.look(self._connection, self._path, self._hear)
            if self._state is not None and self._state.ended:
                return self
            clock.rest(f"batch {self.id}", started=True, asked_s=asked_s)

    def results(self) -> Iterator[Result]:
        """What became of each line so far, one after the other as they come in.

        Raises:
            NotFound: there is no such batch, or it is another owner's.
            NoAnswer: the connection broke; begin again.
        """
        ask = Ask("GET", f"{self._path}/results", {"Accept": "application/x-ndjson"})
        with self._connection.open(ask) as answer:
            for line in Stream.lines(answer.iter_content(64 * 1024)):
                if line.strip():
                    yield _result(line)

    def _hear(self, told: object) -> None:
        self._state = _read(told)

    @property
    def _path(self) -> str:
        return f"/v1/batches/{self.id}"


def _read(told: object) -> BatchState:
    if not isinstance(told, dict) or "id" not in told:
        raise NotTheGateway("the answer is no batch: is this the gateway's address?")
    counts = told.get("counts", told)
    found = {name: counts[name] for name in _STATES if isinstance(counts.get(name), int)}
    return BatchState(str(told["id"]), int(told.get("total") or 0), found, told)


def _result(line: str) -> Result:
    try:
        told = json.loads(line)
        return Result(
            id=str(told["id"]),
            key=told.get("key"),
            status=str(told["status"]),
            metadata=told.get("metadata"),
            seed=told.get("seed"),
            error=told.get("error"),
            object_keys=tuple(told.get("object_keys") or ()),
            raw=told,
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        raise NotTheGateway("a line of the results is not one") from None
