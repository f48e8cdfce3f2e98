"""What can go wrong between a request and its answer, as one tree.

Each kind is one row of the table in `docs/http-api.md`: a slug that programs compare, the HTTP
status, and a title; what is particular to one request is the message. `http/problems.py` writes
them.

    GatewayError
    ├── RequestMalformed  400  headers that two readers could understand differently
    ├── BodyUnreadable    400  no JSON, or JSON that two readers could understand differently
    ├── ParameterInvalid  422  values that break rules, all of them, by field
    ├── LinesFaulty       422  lines of a batch that do, the first hundred of them
    ├── Unauthenticated   401  no key, or none that is known
    ├── Forbidden         403  the key may not do this
    ├── NotFound          404  there is no such thing, or it is another owner's
    ├── NotThere          409  the job has no picture (yet)
    ├── StillLoading      409  the batch is still being handed in
    ├── UnderWay          409  a worker holds the job
    ├── WouldPayAgain     409  a retry that may pay twice has to be agreed to
    ├── TooSlow           408  the request did not arrive in time
    ├── BodyTooLarge      413
    ├── BodyEncoded       415  a content coding other than gzip
    ├── FormatUnknown     415  a batch in no format that is read
    ├── TooManyRequests   429  a limit of the owner's
    └── Busy              503  a limit of this process
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from playground.errors import Fault

__all__ = [
    "BodyEncoded",
    "BodyTooLarge",
    "BodyUnreadable",
    "Busy",
    "Forbidden",
    "FormatUnknown",
    "GatewayError",
    "LinesFaulty",
    "NotFound",
    "NotThere",
    "ParameterInvalid",
    "RequestMalformed",
    "StillLoading",
    "TooManyRequests",
    "TooSlow",
    "Unauthenticated",
    "UnderWay",
    "WouldPayAgain",
]


class GatewayError(Exception):
    """Root of everything this room raises on purpose.

    Attributes:
        status: of the answer.
        slug: names the kind, for programs.
        title: the same for people; it never changes.
        headers: the answer's own.
        facts: further members of the problem document.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]

    def __init__(self, detail: str) -> None:
        self.detail = detail
        self.headers: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        super().__init__(detail)


class RequestMalformed(GatewayError):
    """The headers break HTTP in a way that a proxy may read differently; the connection ends."""

    status, slug, title = 400, "malformed-request", "The request is malformed"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers["Connection"] = "close"


class BodyUnreadable(GatewayError):
    """The body is no JSON, or none that means the same to everybody."""

    status, slug, title = 400, "body-unreadable", "The body cannot be read"


class ParameterInvalid(GatewayError):
    """Values that break rules.

    Attributes:
        faults: every one of them.
    """

    status, slug, title = 422, "invalid-request", "The request breaks rules"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.field}: must be {fault.rule}" for fault in faults))


class LinesFaulty(GatewayError):
    """Lines of a batch break rules, so nothing of it was taken in.

    Args:
        faults: of the first faulty lines, each with its line's number.
        count: how many lines are faulty.
    """

    status, slug, title = 422, "faulty-lines", "Lines of the batch break rules"

    def __init__(self, faults: Sequence[Mapping[str, Any]], count: int) -> None:
        super().__init__(f"faulty lines: {count}; nothing was taken in")
        self.facts.update(faulty_lines=count, faults=list(faults))


class Unauthenticated(GatewayError):
    """No key came, or none that is known; which of the two is not said."""

    status, slug, title = 401, "unauthenticated", "An API key is needed"

    def __init__(self, detail: str = "send Authorization: Bearer with a valid API key") -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = 'Bearer realm="darkroom"'


class Forbidden(GatewayError):
    """The key is known and may not do this."""

    status, slug, title = 403, "forbidden", "This API key may not do that"


class NotFound(GatewayError):
    """There is no such thing, or it belongs to somebody else: the two look alike."""

    status, slug, title = 404, "not-found", "There is nothing here"


class NotThere(GatewayError):
    """The job is known, and what is asked of it is not there (yet)."""

    status, slug, title = 409, "no-image", "The job has no such picture"


class StillLoading(GatewayError):
    """The batch is not in yet; as long as it is not, it has no jobs."""

    status, slug, title = 409, "batch-loading", "The batch is still being handed in"


class UnderWay(GatewayError):
    """A worker holds the job, whose call is paid for: it is not forgotten before it has ended."""

    status, slug, title = 409, "job-under-way", "The job is under way"


class WouldPayAgain(GatewayError):
    """A call's outcome is unknown, so that a retry may pay twice: that has to be agreed to."""

    status, slug, title = 409, "would-pay-again", "A retry may pay for the same picture twice"

    def __init__(self, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.facts.update(facts)


class TooSlow(GatewayError):
    """The body did not arrive in time."""

    status, slug, title = 408, "too-slow", "The request took too long to arrive"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers["Connection"] = "close"


class BodyTooLarge(GatewayError):
    """The body is larger than this gateway reads, as it came or unpacked."""

    status, slug, title = 413, "body-too-large", "The body is too large"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.headers["Connection"] = "close"


class BodyEncoded(GatewayError):
    """The body has a content coding other than gzip."""

    status, slug, title = 415, "unknown-encoding", "This content coding is not known"


class FormatUnknown(GatewayError):
    """A batch came in a format that is not read here."""

    status, slug, title = 415, "unknown-format", "This format is not known"


class TooManyRequests(GatewayError):
    """A limit of the owner's is reached.

    Args:
        retry_after_s: when it makes sense to ask again.
    """

    status, slug, title = 429, "too-many-requests", "A limit is reached"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, -int(-retry_after_s // 1)))


class Busy(GatewayError):
    """A limit of this process is reached; another one, or a later moment, may do it."""

    status, slug, title = 503, "busy", "This gateway is busy"

    def __init__(self, detail: str, retry_after_s: float = 5) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, -int(-retry_after_s // 1)))
