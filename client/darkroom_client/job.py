"""Follow one job by its id, from any process."""

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
#: A larger read would wait for more bytes, and delay events, if a proxy has removed the chunked
#: coding.
_AS_IT_COMES = 1


class Job:
    """A handle on one job, made by `Client.submit` or, from an id, by `Client.job`.

    A handle holds the gateway's last response, in `state`. Only `refresh`, `wait`, `events` and
    `cancel` send a request, and so does `state` itself if there was no response yet.

    Attributes:
        id: the job's id: all that is needed to make another handle, in any process.
        created: False if the idempotency key found an existing job; None if this handle was made
            from an id.
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
        """The gateway's last response; requested if there was none yet."""
        return self.refresh().state if self._state is None else self._state

    @property
    def status(self) -> str:
        """The last known state, such as `queued`.

        It is `queued`, `running`, `storing`, `succeeded`, `failed` or `cancelled`.
        """
        return self.state.status

    @property
    def error(self) -> Problem | None:
        """Why it ended without an image, or waits for a retry; None if there was no error."""
        return self.state.error

    @property
    def images(self) -> tuple[Image, ...]:
        """Its images; empty until it has succeeded, or was cancelled with its call paid for."""
        pictures = self.state.pictures
        return tuple(Image(self._connection, self.id, picture) for picture in pictures)

    def refresh(self) -> Job:
        """Request the job's state; return the handle itself, updated.

        Raises:
            NotFound: there is no such job, or it belongs to another owner.
        """
        self._hear(self._connection.json(Ask("GET", self._path))[1])
        return self

    def wait(self, *, timeout_s: float | None = None, start_timeout_s: float | None = None) -> Job:
        """Wait until the job has succeeded.

        Args:
            timeout_s: longest wait in total; None waits indefinitely. Within it, an unavailable
                gateway is waited for as well.
            start_timeout_s: longest wait for the job to start. Past it the fleet is busy, paused or
                gone, and the caller decides whether to wait longer for the image.

        Returns:
            The handle, whose `images` are there.

        Raises:
            JobFailed: it ended without an image.
            JobCancelled: it was cancelled, or expired. If its call was paid for already, its image
                is kept, and `images` has it.
            StartTimeout: it had not started; it stays queued.
            WaitTimeout: it had not ended; it continues.
        """
        clock = Waiting(start_timeout_s=start_timeout_s, timeout_s=timeout_s)
        while True:
            asked_s = clock.look(self._connection, self._path, self._hear)
            if self._state is not None and self._state.ended:
                return self._succeeded(self._state)
            started = self._state is not None and self._state.started
            clock.rest(f"job {self.id}", started=started, asked_s=asked_s)

    def events(self, *, after: str = "") -> Iterator[Event]:
        """Yield the job's state, and then each change of it, until it has ended.

        A broken connection is resumed at its last event: no event is repeated. Changes made in
        between are reported as the job's current state.

        Args:
            after: the `id` of the last event received: nothing is reported until the state differs.

        Raises:
            NotFound: there is no such job, or it belongs to another owner.
            Unavailable: the gateway stayed unavailable.
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
        """Cancel the job: a queued one ends at once, one in progress as soon as possible.

        A call that was made is paid for, so a job in progress may still return its image.

        Returns:
            The handle, updated: `cancelled`, or in progress with `state.cancel_asked`, or ended
            before, unchanged.

        Raises:
            NotFound: there is no such job, or it belongs to another owner.
        """
        # Cancelling twice has the same effect as cancelling once.
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
