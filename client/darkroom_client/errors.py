"""Define the errors of this package, as one tree.

    DarkroomError
    ├── Refused                 the gateway refused the request
    │   ├── InvalidRequest      400, 413, 415, 422: `faults` lists the faults, by field
    │   ├── Unauthorized        401: the key is missing or unknown
    │   ├── Forbidden           403: the key lacks the scope
    │   ├── NotFound            404, 410: nothing of this owner has that id
    │   ├── Conflict            409: the idempotency key belongs to another request
    │   ├── TooManyRequests     429: a limit of this owner; `retry_after_s`
    │   └── GatewayFault        any other response that is not a success
    ├── Unavailable             408, 502, 503, 504, after all retries; `retry_after_s`
    │   └── NoAnswer            no connection, or one that broke before the response
    ├── NotTheGateway           a response that no Darkroom gateway sends
    ├── StartTimeout            the job was still queued        (a TimeoutError as well)
    ├── WaitTimeout             the job had not ended           (a TimeoutError as well)
    ├── JobFailed               it ended without an image; `code`, `reason`, `whose`
    ├── JobCancelled            it was cancelled, perhaps with an image, or expired
    ├── ImageDamaged            the received bytes are not those that were stored
    └── WebhookInvalid          not signed with one of the secrets, or incomplete
        └── WebhookStale        signed, but too old or from the future

`connection.py` translates exceptions of `requests`, `problems.py` translates responses, and no
other module does. No message contains a key, a prompt or a signed link. All of them can be pickled,
because task queues and process pools pickle what they cannot handle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class DarkroomError(Exception):
    """Root of all errors that this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the attributes as well as the message."""
        return _unpickled, (type(self), self.args, self.__dict__)


def _unpickled(
    kind: type[DarkroomError], args: tuple[object, ...], facts: dict[str, object]
) -> DarkroomError:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(facts)
    return error


@dataclass(frozen=True)
class Fault:
    """One broken rule of a submission.

    Attributes:
        field: the parameter.
        value: the given value, shortened.
        rule: what is allowed.
        line: in a batch, the line with the fault, counted from 1.
    """

    field: str
    value: str
    rule: str
    line: int | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.field} = {self.value}: {self.rule}"


class Refused(DarkroomError):
    """The gateway refused the request.

    Attributes:
        status: the HTTP status.
        type: the problem's name for programs, such as `urn:darkroom:problem:not-found`.
        title: the problem in a few words.
        detail: the problem in a sentence; empty if the gateway sent none.
        faults: the faults, by field; empty if the problem is another one.
        facts: further members of the problem document, such as the `holder` of an idempotency key.
    """

    def __init__(
        self,
        status: int,
        *,
        type: str = "about:blank",  # noqa: A002 - RFC 9457's own name
        title: str = "",
        detail: str = "",
        faults: tuple[Fault, ...] = (),
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.status, self.type, self.title = status, type, title
        self.detail, self.faults, self.facts = detail, faults, dict(facts or {})
        told = "; ".join(str(fault) for fault in faults) or detail or title or "no reason given"
        super().__init__(f"HTTP {status}: {told}")


class InvalidRequest(Refused):
    """The submission breaks rules; nothing was stored, and sending it again will not help."""


class Unauthorized(Refused):
    """The gateway requires an API key, or this one is unknown."""


class Forbidden(Refused):
    """The API key lacks the scope for this."""


class NotFound(Refused):
    """This key's owner has no such resource."""


class Conflict(Refused):
    """The idempotency key was used for another request, or the job's state does not allow this."""


class TooManyRequests(Refused):
    """A limit of this owner was reached, and stayed so over all retries.

    Attributes:
        retry_after_s: how long the gateway asks to wait; None if it did not say.
    """

    retry_after_s: float | None = None


class GatewayFault(Refused):
    """A response that is neither a success nor a refusal defined here."""


class Unavailable(DarkroomError):
    """The gateway could not be reached or could not work, over all retries.

    Attributes:
        retry_after_s: how long it asks to wait; None if it did not say.
        idempotency_key: the key the request was sent under: sent again under it, by any process at
            any time, it is still the same job or batch. None for requests that have no key.
    """

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        idempotency_key: str | None = None,
    ) -> None:
        self.retry_after_s, self.idempotency_key = retry_after_s, idempotency_key
        super().__init__(message)


class NoAnswer(Unavailable):
    """No connection was made, or it broke before the response: the request may have arrived or not.

    Attributes:
        lasting: true for what waiting does not repair, such as an untrusted certificate.
    """

    lasting: bool = False


class NotTheGateway(DarkroomError):
    """A server responded that is not a Darkroom gateway: the address is probably wrong."""


class StartTimeout(DarkroomError, TimeoutError):
    """The job had not started in the given time; it stays queued, and may still be waited for."""


class WaitTimeout(DarkroomError, TimeoutError):
    """The job or batch had not ended in the given time; it continues, and can be awaited again."""


class JobFailed(DarkroomError):
    """The job ended without an image.

    Attributes:
        job_id: which.
        code: a constant name for programs, such as `PROMPT_UNSAFE`.
        reason: a sentence for people.
        whose: `request`, `api`, `storage`, `darkroom` or `operator`: which side has to change
            something.
    """

    def __init__(self, job_id: str, code: str, reason: str, whose: str) -> None:
        self.job_id, self.code, self.reason, self.whose = job_id, code, reason, whose
        super().__init__(f"job {job_id} failed: {code}: {reason}")


class JobCancelled(DarkroomError):
    """The job was cancelled, or had not started by the time it expired.

    A call in progress is paid for, so the image it returned is kept: the handle's `images` has it
    then.

    Attributes:
        job_id: which.
        code: `CANCELLED` or `EXPIRED`.
    """

    def __init__(self, job_id: str, code: str = "CANCELLED") -> None:
        self.job_id, self.code = job_id, code
        super().__init__(f"job {job_id} was cancelled: {code}")


class ImageDamaged(DarkroomError):
    """The received bytes are not those that were stored; nothing was written."""


class WebhookInvalid(DarkroomError):
    """The delivery is not verifiably the gateway's: respond with 401 and read nothing else."""


class WebhookStale(WebhookInvalid):
    """Signed, but outside the tolerance: a replay by a third party, or a wrong clock."""
