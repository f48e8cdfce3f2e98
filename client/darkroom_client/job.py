"""One job, followed from wherever its id is known."""

from __future__ import annotations

import time
from collections.abc import Iterator

from darkroom_client import errors
from darkroom_client.connection import Ask, Connection
from darkroom_client.events import Event, Stream
from darkroom_client.image import Image
from darkroom_client.state import ENDED, JobState, Problem, read_job
from darkroom_client.waiting import Waiting

_NO_CONTENT = 204
#: More at once would be waited for where a proxy has taken the stream's chunks apart.
_AS_IT_COMES = 1


class Job:
    """A handle on one job, made by `Client.submit` or, from an id, by `Client.job`.

    A handle holds what the gateway last said, in `state`. Only `refresh`, `wait`, `events` and
    `cancel` ask again, and `state` itself where nothing was ever asked.

    Attributes:
        id: the job's id: all that is needed to make another handle, in any process.
        created: False if the idempotency key found a job that was there before; None if this handle
            was made from an id.
    """

    def __init__(
        self,
        connection: Connection,
        job_id: str,
        state: JobState | None = None,
        *,
        created: bool | None = None,
    ) -> None:
        self._connection = connection
        self._state = state
        self.id = job_id
        self.created = created

    def __repr__(self) -> str:
        status = "" if self._state is None else f" {self._state.status}"
        return f"<Job {self.id}{status}>"

    @property
    def state(self) -> JobState:
        """What the gateway last said; asked for if it never was."""
        return self.refresh().state if self._state is None else self._state

    @property
    def status(self) -> str:
        """`queued`, `running`, `storing`, `succeeded`, `failed` or `cancelled`, as last said."""
        return self.state.status

    @property
    def error(self) -> Problem | None:
        """Why it ended without a picture, or waits to be tried again; None if all went well."""
        return self.state.error

    @property
    def images(self) -> tuple[Image, ...]:
        """Its pictures; empty until it has succeeded, or was cancelled with its call paid for."""
        pictures = self.state.pictures
        return tuple(Image(self._connection, self.id, picture) for picture in pictures)

    def refresh(self) -> Job:
        """Ask the gateway how the job is; the handle itself, brought up to date.

        Raises:
            NotFound: there is no such job, or it is another owner's.
        """
        self._hear(self._connection.json(Ask("GET", self._path))[1])
        return self

    def wait(self, *, timeout_s: float | None = None, start_timeout_s: float | None = None) -> Job:
        """Wait until the job has succeeded.

        Args:
            timeout_s: longest wait in all; None is for as long as it takes. Within it, a gateway
                that is away for a while is waited for as well.
            start_timeout_s: longest wait for anyone to begin with the job: past it the fleet is
                busy, paused or gone, and waiting longer for the picture is a decision of its own.

        Returns:
            The handle, whose `images` are there.

        Raises:
            JobFailed: it ended without a picture.
            JobCancelled: it was cancelled, or expired. Where its call was paid for already, its
                picture is kept, and `images` has it.
            StartTimeout: nobody had begun with it; it waits on.
            WaitTimeout: it had not ended; it goes on.
        """
        clock = Waiting(start_timeout_s=start_timeout_s, timeout_s=timeout_s)
        while True:
            asked_s = clock.look(self._connection, self._path, self._hear)
            if self._state is not None and self._state.ended:
                return self._succeeded(self._state)
            started = self._state is not None and self._state.started
            clock.rest(f"job {self.id}", started=started, asked_s=asked_s)

    def events(self, *, after: str = "") -> Iterator[Event]:
        """Where the job is, and then each change of it, until it has ended.

        A connection that breaks is made again where it broke: nothing is told twice, and what
        changed meanwhile is told as where the job is now.

        Args:
            after: the `id` of the last event one has: nothing is told until the job is elsewhere.

        Raises:
            NotFound: there is no such job, or it is another owner's.
            Unavailable: the gateway stayed away.
        """
        stream = Stream(after)
        while True:
            heard = False
            try:
                with self._connection.open(self._listen(stream.last_id)) as answer:
                    heard = True
                    if answer.status_code == _NO_CONTENT:
                        return
                    for event in stream.events(stream.lines(answer.iter_content(_AS_IT_COMES))):
                        yield event
                        if event.data.get("status") in ENDED:
                            return
            except errors.NoAnswer:
                if not heard:
                    raise
            time.sleep(stream.wait_s)

    def cancel(self) -> Job:
        """Ask that the job be stopped: one that waits ends at once, one under way when it can.

        A call that was made is paid, so a job under way may still bring its picture.

        Returns:
            The handle, brought up to date: `cancelled`, or under way with `state.cancel_asked`, or
            ended before as it was.

        Raises:
            NotFound: there is no such job, or it is another owner's.
        """
        # Cancelling twice is cancelling once.
        _, told = self._connection.json(Ask("POST", f"{self._path}/cancel", repeatable=True))
        self._hear(told.get("job") if isinstance(told, dict) else None)
        return self

    @property
    def _path(self) -> str:
        return f"/v1/jobs/{self.id}"

    def _listen(self, last_id: str) -> Ask:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
        if last_id:
            headers["Last-Event-ID"] = last_id
        return Ask("GET", f"{self._path}/events", headers)

    def _hear(self, told: object) -> None:
        self._state = read_job(told)

    def _succeeded(self, state: JobState) -> Job:
        error = state.error or Problem("UNKNOWN", "no reason was given", "darkroom")
        if state.status == "failed":
            raise errors.JobFailed(self.id, error.code, error.message, error.whose)
        if state.status == "cancelled":
            raise errors.JobCancelled(self.id, error.code if state.error else "CANCELLED")
        return self
