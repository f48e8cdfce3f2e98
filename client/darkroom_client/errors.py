"""What can go wrong, as one tree.

    DarkroomError
    ├── Refused                 the gateway answered, and the answer is no
    │   ├── InvalidRequest      400, 413, 415, 422: `faults` lists what is wrong, by field
    │   ├── Unauthorized        401: no key, or one that is not known
    │   ├── Forbidden           403: the key may not do this
    │   ├── NotFound            404, 410: nothing of this owner has that id
    │   ├── Conflict            409: the idempotency key belongs to another request
    │   ├── TooManyRequests     429: a limit of this owner; `retry_after_s`
    │   └── GatewayFault        any other answer that is no success
    ├── Unavailable             408, 502, 503, 504, after all retries; `retry_after_s`
    │   └── NoAnswer            no connection, or none that lasted until the answer
    ├── NotTheGateway           an answer that no Darkroom gateway gives
    ├── StartTimeout            the job was still queued        (a TimeoutError as well)
    ├── WaitTimeout             the job had not ended           (a TimeoutError as well)
    ├── JobFailed               it ended without a picture; `code`, `reason`, `whose`
    ├── JobCancelled            it was cancelled, perhaps with a picture, or came too late
    ├── ImageDamaged            the bytes that came are not those that were stored
    └── WebhookInvalid          not signed with our secret, or not whole
        └── WebhookStale        signed, and too old or from the future

Exceptions of `requests` become these in `connection.py`, answers in `problems.py`, and nowhere
else. No message carries a key, a prompt or a signed link. All of them survive pickling, since
task queues and process pools pickle what they cannot handle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class DarkroomError(Exception):
    """Root of everything this package raises on purpose."""

    def __reduce__(self) -> tuple[object, ...]:
        """Carry the facts through a pickle, and not only the sentence."""
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
    """One broken rule of what was handed in.

    Attributes:
        field: the parameter.
        value: what was given, shortened.
        rule: what is allowed.
        line: in a batch, the line it is about, counted from 1.
    """

    field: str
    value: str
    rule: str
    line: int | None = None

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}: "
        return f"{where}{self.field} = {self.value}: {self.rule}"


class Refused(DarkroomError):
    """The gateway answered, and the answer is no.

    Attributes:
        status: the HTTP status.
        type: the problem's name for machines, such as `urn:darkroom:problem:not-found`.
        title: the problem in a few words.
        detail: the problem in a sentence; empty if the gateway gave none.
        faults: what is wrong, by field; empty if that is not what is wrong.
        facts: what else the problem document says, such as the `holder` of an idempotency key.
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
    """What was handed in breaks rules; nothing was kept, and sending it again will not help."""


class Unauthorized(Refused):
    """The gateway wants an API key, or does not know this one."""


class Forbidden(Refused):
    """The API key lacks the scope for this."""


class NotFound(Refused):
    """There is no such thing among what belongs to this key's owner."""


class Conflict(Refused):
    """The idempotency key was used for another request, or the job is past what was asked of it."""


class TooManyRequests(Refused):
    """A limit of this owner was reached, and stayed so over all retries.

    Attributes:
        retry_after_s: how long the gateway asks to wait; None if it did not say.
    """

    retry_after_s: float | None = None


class GatewayFault(Refused):
    """An answer that is neither a success nor any refusal we know."""


class Unavailable(DarkroomError):
    """The gateway could not be reached or could not work, over all retries.

    Attributes:
        retry_after_s: how long it asks to wait; None if it did not say.
        idempotency_key: the key the request was sent under: sent again under it, by whomever and
            whenever, it is still the same job or batch. None for requests that have no key.
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
    """No connection came about, or it broke before the answer: it may have been heard or not.

    Attributes:
        lasting: true for what no waiting mends, such as a certificate that is not trusted.
    """

    lasting: bool = False


class NotTheGateway(DarkroomError):
    """Something answered, and it was not a Darkroom gateway: the address is probably wrong."""


class StartTimeout(DarkroomError, TimeoutError):
    """Nobody had begun with the job in the time given; it waits on, and may still be waited for."""


class WaitTimeout(DarkroomError, TimeoutError):
    """The job or batch had not ended in the time given; it goes on, and may be waited for again."""


class JobFailed(DarkroomError):
    """The job ended without a picture.

    Attributes:
        job_id: which.
        code: a constant name for machines, such as `PROMPT_UNSAFE`.
        reason: a sentence for people.
        whose: `request`, `api`, `storage`, `darkroom` or `operator`: who has to change something.
    """

    def __init__(self, job_id: str, code: str, reason: str, whose: str) -> None:
        self.job_id, self.code, self.reason, self.whose = job_id, code, reason, whose
        super().__init__(f"job {job_id} failed: {code}: {reason}")


class JobCancelled(DarkroomError):
    """The job was cancelled, or was not begun by the time it expired.

    A call that was under way is paid for, so the picture it brought is kept: the handle's `images`
    has it then.

    Attributes:
        job_id: which.
        code: `CANCELLED` or `EXPIRED`.
    """

    def __init__(self, job_id: str, code: str = "CANCELLED") -> None:
        self.job_id, self.code = job_id, code
        super().__init__(f"job {job_id} was cancelled: {code}")


class ImageDamaged(DarkroomError):
    """The bytes that came are not those that were stored; nothing was written."""


class WebhookInvalid(DarkroomError):
    """Not from the gateway as far as anyone can tell: answer 401 and look at nothing else."""


class WebhookStale(WebhookInvalid):
    """Signed, but outside the tolerance: replayed by somebody, or a clock is wrong."""
