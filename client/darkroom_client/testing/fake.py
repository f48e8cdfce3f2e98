"""The client that a test is given: the real one, with a gateway in memory behind it."""

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
    """A `Client` without a gateway: jobs end at once, with a tiny picture or a chosen failure.

    Whatever takes a `Client` takes this. Requests are checked as the gateway checks them, keys are
    honoured, and nothing is waited for: a refusal is not tried again, as it is your code that is
    tested.

    Attributes:
        url: what it calls itself; nothing listens there.
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
        """Have the next request, whatever it is for, answered with an error.

        Args:
            status: the HTTP status: 429 for a limit, 503 for a gateway that is away …
            retry_after_s: what it asks to wait.
            detail: its sentence.
            times: how many requests.
        """
        self._jobs.refusals.extend([Refusal(status, retry_after_s, detail)] * times)

    def hold(self) -> None:
        """From now on jobs stay queued, as with a fleet that is busy or paused."""
        self._jobs.held = True

    def release(self) -> None:
        """End what was held, and all jobs at once again."""
        self._jobs.release()

    @property
    def jobs(self) -> list[Job]:
        """Every job that was handed in, in order: what your code asked for is in their `state`."""
        return [self.job(job_id) for job_id in self._jobs.by_id]

    @property
    def submitted(self) -> list[JobState]:
        """The same as values."""
        return [job.state for job in self.jobs]

    def _adapter(self) -> BaseAdapter:
        return FakeGateway(self._jobs)
