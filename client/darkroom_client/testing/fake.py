"""Define the client for tests: the real one, with a gateway in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from requests.adapters import BaseAdapter

from darkroom_client.client import Client
from darkroom_client.job import Job
from darkroom_client.retries import Retries
from darkroom_client.testing.gateway import FakeGateway
from darkroom_client.testing.jobs import Failure, FakeJobs, Refusal

if TYPE_CHECKING:
    from darkroom_client.state import JobState


class FakeDarkroom(Client):
    """A `Client` without a gateway: jobs end at once, with a tiny image or a chosen failure.

    Code that takes a `Client` takes this. Requests are checked as the gateway checks them, and keys
    are honoured. Nothing is waited for, and a refusal is not retried, because the test is about
    your code.

    Attributes:
        url: its nominal address; nothing listens there.
    """

    url = "http://darkroom.test"

    def __init__(self) -> None:
        self._jobs = FakeJobs(self.url)
        super().__init__(self.url, retries=Retries(attempts=1))

    def fail_next(
        self,
        code: str = "API_ERROR",
        *,
        message: str = "the test wants it so",
        whose: str = "api",
        times: int = 1,
    ) -> None:
        """Have the next job, or the next few, fail.

        Args:
            code: the error's, such as `PROMPT_UNSAFE`.
            message: the error's sentence.
            whose: `request`, `api`, `storage`, `darkroom` or `operator`.
            times: how many jobs.
        """
        self._jobs.failures.extend([Failure(code, message, whose)] * times)

    def refuse_next(
        self, status: int, *, retry_after_s: float | None = None, detail: str = "", times: int = 1
    ) -> None:
        """Have the next request, whichever it is, answered with an error.

        Args:
            status: the HTTP status: 429 for a limit, 503 for an unavailable gateway …
            retry_after_s: its `Retry-After`.
            detail: its sentence.
            times: how many requests.
        """
        self._jobs.refusals.extend([Refusal(status, retry_after_s, detail)] * times)

    def hold(self) -> None:
        """Keep jobs queued from now on, as with a fleet that is busy or paused."""
        self._jobs.held = True

    def release(self) -> None:
        """End the jobs kept queued, and end all later jobs at once again."""
        self._jobs.release()

    @property
    def jobs(self) -> list[Job]:
        """Every submitted job, in order; its `state` has what your code requested."""
        return [self.job(job_id) for job_id in self._jobs.by_id]

    @property
    def submitted(self) -> list[JobState]:
        """The same as values."""
        return [job.state for job in self.jobs]

    def _adapter(self) -> BaseAdapter:
        return FakeGateway(self._jobs)
