"""Follow many jobs that were submitted together, by one id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from darkroom_client.connection import Ask, Connection
from darkroom_client.errors import Fault, NotTheGateway
from darkroom_client.events import Stream
from darkroom_client.job import Job
from darkroom_client.problems import faults_of
from darkroom_client.state import ENDED, Delivery, Problem, delivery_of, moment, problem_of
from darkroom_client.waiting import Waiting


@dataclass(frozen=True)
class BatchState:
    """A batch as of the gateway's last response.

    Attributes:
        status: `loading` while it is being uploaded, `running`, or `ended`: all its jobs have.
        name: for people.
        total: how many jobs it has; 0 while it is loading.
        counts: how many of them are in each state.
        rate_per_s: jobs ended per second since loading ended; None until a job has ended.
        eta_s: seconds until all have ended at this rate; None until a job has ended.
        callback_url: the address that is notified when all have ended.
        delivery: the state of that notification; None before.
        raw: the gateway's whole response.
    """

    id: str
    status: str
    name: str | None
    owner: str
    total: int
    counts: Mapping[str, int]
    rate_per_s: float | None
    eta_s: float | None
    created_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None
    callback_url: str | None
    delivery: Delivery | None
    raw: Mapping[str, Any]

    @property
    def done(self) -> int:
        """How many jobs have ended, successfully or not."""
        return sum(self.counts.get(name, 0) for name in ENDED)

    @property
    def ended(self) -> bool:
        """Whether all jobs have ended."""
        return self.status == "ended"


@dataclass(frozen=True)
class Stopped:
    """The result of cancelling a batch, in jobs.

    Attributes:
        cancelled: they had not started, and have ended now.
        asked: they end with the call that is in progress, which is paid for.
    """

    cancelled: int
    asked: int


@dataclass(frozen=True)
class Result:
    """The result of one line of a batch.

    Attributes:
        id: the job's.
        key: the line's own name, if it had one.
        status: the job's, as for `Job.status`.
        seed: the seed of its image.
        object_keys: its images in the bucket.
        reused_from: the id of the job whose image was reused instead of a new call.
        raw: the gateway's whole response.
        job: a handle on it, to fetch its images with.
    """

    id: str
    key: str | None
    status: str
    metadata: Mapping[str, Any] | None
    seed: int | None
    error: Problem | None
    object_keys: tuple[str, ...]
    reused_from: str | None
    raw: Mapping[str, Any]
    job: Job


class Batch:
    """A handle on one batch, made by `Client.submit_many` or, from an id, by `Client.batch`.

    Attributes:
        id: the batch's id.
        created: False if the key found an existing batch; None if unknown.
        faults: of the skipped lines, if `skip_invalid` was set; the first hundred lines'.
        faulty_lines: how many lines were skipped.
    """

    def __init__(
        self,
        connection: Connection,
        batch_id: str,
        state: BatchState | None = None,
        *,
        created: bool | None = None,
    ) -> None:
        self._connection = connection
        self._state = state
        self.id = batch_id
        self.created = created
        told = {} if state is None else state.raw
        self.faults: tuple[Fault, ...] = faults_of(told.get("faults"))
        self.faulty_lines: int = told.get("faulty_lines") or 0

    def __repr__(self) -> str:
        return f"<Batch {self.id}>"

    @property
    def state(self) -> BatchState:
        """The gateway's last response; requested if there was none yet."""
        return self.refresh().state if self._state is None else self._state

    def refresh(self) -> Batch:
        """Request the batch's state; return the handle itself, updated.

        Raises:
            NotFound: there is no such batch, or it belongs to another owner.
        """
        self._hear(self._connection.json(Ask("GET", self._path))[1])
        return self

    def wait(self, *, timeout_s: float | None = None) -> Batch:
        """Wait until all jobs have ended, successfully or not; `state.counts` has the numbers.

        Args:
            timeout_s: longest wait; None waits indefinitely.

        Raises:
            WaitTimeout: they had not ended; they continue.
        """
        clock = Waiting(timeout_s=timeout_s)
        while True:
            asked_s = clock.look(self._connection, self._path, self._hear)
            if self._state is not None and self._state.ended:
                return self
            clock.rest(f"batch {self.id}", started=True, asked_s=asked_s)

    def results(self) -> Iterator[Result]:
        """Yield the current result of each line, in no particular order, as the response arrives.

        Raises:
            NotFound: there is no such batch, or it belongs to another owner.
            Conflict: it is still loading.
            NoAnswer: the connection broke; start again.
        """
        ask = Ask("GET", f"{self._path}/results", {"Accept": "application/jsonl"})
        with self._connection.open(ask) as answer:
            for line in Stream.lines(answer.iter_content(64 * 1024)):
                if line.strip():
                    yield self._result(line)

    def cancel(self) -> Stopped:
        """Cancel all its jobs: queued ones end at once, the others as soon as possible.

        Raises:
            NotFound: there is no such batch, or it belongs to another owner.
            Conflict: it is still loading.
        """
        cancelled = asked = 0
        while True:
            # Cancelling twice has the same effect as cancelling once.
            _, told = self._connection.json(Ask("POST", f"{self._path}/cancel", repeatable=True))
            cancelled += told.get("cancelled", 0)
            asked += told.get("asked", 0)
            if told.get("complete", True):
                return Stopped(cancelled, asked)

    def _hear(self, told: object) -> None:
        self._state = read_batch(told)

    @property
    def _path(self) -> str:
        return f"/v1/batches/{self.id}"

    def _result(self, line: str) -> Result:
        try:
            told = json.loads(line)
            job_id, status = str(told["id"]), str(told["status"])
        except (ValueError, TypeError, KeyError):
            raise NotTheGateway("a line of the results has no id or status") from None
        return Result(
            id=job_id,
            key=told.get("key"),
            status=status,
            metadata=told.get("metadata"),
            seed=told.get("seed"),
            error=problem_of(told.get("error")),
            object_keys=tuple(told.get("object_keys") or ()),
            reused_from=told.get("reused_from"),
            raw=told,
            job=Job(self._connection, job_id),
        )


def read_batch(told: object) -> BatchState:
    """Parse the gateway's description of a batch.

    Raises:
        NotTheGateway: this does not describe a batch.
    """
    if not isinstance(told, dict) or not {"id", "status"} <= told.keys():
        raise NotTheGateway("the response is not a batch: is this the gateway's address?")
    return BatchState(
        id=str(told["id"]),
        status=str(told["status"]),
        name=told.get("name"),
        owner=str(told.get("owner", "")),
        total=told.get("total") or 0,
        counts=told.get("counts") or {},
        rate_per_s=told.get("rate_per_s"),
        eta_s=told.get("eta_s"),
        created_at=moment(told.get("created_at")),
        opened_at=moment(told.get("opened_at")),
        closed_at=moment(told.get("closed_at")),
        callback_url=told.get("callback_url"),
        delivery=delivery_of(told.get("delivery")),
        raw=told,
    )
