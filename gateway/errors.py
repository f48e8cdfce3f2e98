"""Define the errors between a request and its response, as one tree.

Each class is one row of the table in `docs/http-api.md`: a slug for programs, the HTTP status, and
a title. The message holds what is specific to one request. `http/problems.py` renders them.

    GatewayError
    ├── RequestMalformed  400  headers that a proxy could read differently
    ├── BodyUnreadable    400  invalid JSON, or JSON that two parsers could read differently
    ├── ParameterInvalid  422  invalid values, all of them, by field
    ├── LinesFaulty       422  invalid lines of a batch, the first hundred of them
    ├── Unauthenticated   401  the key is missing or unknown
    ├── Forbidden         403  the key lacks the scope
    ├── NotFound          404  the resource does not exist, or belongs to another owner
    ├── NotThere          409  the job has no image (yet)
    ├── StillLoading      409  the batch is still loading
    ├── UnderWay          409  a worker holds the job
    ├── WouldPayAgain     409  a retry that may pay twice needs confirmation
    ├── TooSlow           408  the request did not arrive in time
    ├── BodyTooLarge      413
    ├── BodyEncoded       415  a content coding other than gzip
    ├── FormatUnknown     415  a batch in an unsupported format
    ├── TooManyRequests   429  a limit of the owner
    └── Busy              503  a limit of this process
"""

import math
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
    """Root of all errors that this package raises on purpose.

    Attributes:
        status: the HTTP status of the response.
        slug: identifies the kind of error, for programs.
        title: the same for people; it never changes.
        closes_connection: whether the response asks for the connection's end.
        headers: headers of the response.
        facts: further members of the problem document.
    """

    status: ClassVar[int]
    slug: ClassVar[str]
    title: ClassVar[str]
    closes_connection: ClassVar[bool] = False

    def __init__(self, detail: str) -> None:
        self.detail = detail
        self.headers = {"Connection": "close"} if self.closes_connection else {}
        self.facts: dict[str, Any] = {}
        super().__init__(detail)


class RequestMalformed(GatewayError):
    """The headers violate HTTP in a way that a proxy may read differently.

    The connection is closed.
    """

    status, slug, title = 400, "malformed-request", "The request is malformed"
    closes_connection = True


class BodyUnreadable(GatewayError):
    """The body is invalid JSON, or JSON that parsers read differently."""

    status, slug, title = 400, "body-unreadable", "The body cannot be read"


class ParameterInvalid(GatewayError):
    """Values break rules.

    Attributes:
        faults: all of them.
    """

    status, slug, title = 422, "invalid-request", "The request breaks rules"

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.field}: must be {fault.rule}" for fault in faults))


class LinesFaulty(GatewayError):
    """Lines of a batch are invalid, so nothing of it was accepted.

    Args:
        faults: the faults of the first invalid lines, each with its line number.
        count: how many lines are invalid.
    """

    status, slug, title = 422, "faulty-lines", "Lines of the batch break rules"

    def __init__(self, faults: Sequence[Mapping[str, Any]], count: int) -> None:
        super().__init__(f"faulty lines: {count}; no job was accepted")
        self.facts.update(faulty_lines=count, faults=list(faults))


class Unauthenticated(GatewayError):
    """The key is missing or unknown; the response does not say which."""

    status, slug, title = 401, "unauthenticated", "An API key is needed"

    def __init__(self, detail: str = "send Authorization: Bearer with a valid API key") -> None:
        super().__init__(detail)
        self.headers["WWW-Authenticate"] = 'Bearer realm="darkroom"'


class Forbidden(GatewayError):
    """The key is known but lacks the scope."""

    status, slug, title = 403, "forbidden", "This API key may not do that"


class NotFound(GatewayError):
    """The resource does not exist or belongs to another owner: both get the same response."""

    status, slug, title = 404, "not-found", "Not found"


class NotThere(GatewayError):
    """The job exists, but what was requested of it does not (yet)."""

    status, slug, title = 409, "no-image", "The job has no such picture"


class StillLoading(GatewayError):
    """The batch is still loading, and has no jobs until it is loaded."""

    status, slug, title = 409, "batch-loading", "The batch is still loading"


class UnderWay(GatewayError):
    """A worker holds the job, whose call is paid for: delete it after it has ended."""

    status, slug, title = 409, "job-under-way", "The job is under way"


class WouldPayAgain(GatewayError):
    """A call's outcome is unknown, so a retry may pay twice and needs confirmation."""

    status, slug, title = 409, "would-pay-again", "A retry may pay for the same picture twice"

    def __init__(self, detail: str, facts: Mapping[str, Any]) -> None:
        super().__init__(detail)
        self.facts.update(facts)


class TooSlow(GatewayError):
    """The body did not arrive in time."""

    status, slug, title = 408, "too-slow", "The request took too long to arrive"
    closes_connection = True


class BodyTooLarge(GatewayError):
    """The body, received or unpacked, exceeds this gateway's limit."""

    status, slug, title = 413, "body-too-large", "The body is too large"
    closes_connection = True


class BodyEncoded(GatewayError):
    """The body has a content coding other than gzip."""

    status, slug, title = 415, "unknown-encoding", "This content coding is not known"


class FormatUnknown(GatewayError):
    """A batch has an unsupported format."""

    status, slug, title = 415, "unknown-format", "This format is not known"


class TooManyRequests(GatewayError):
    """A limit of the owner is reached.

    Args:
        retry_after_s: seconds after which to try again.
    """

    status, slug, title = 429, "too-many-requests", "A limit is reached"

    def __init__(self, detail: str, retry_after_s: float) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))


class Busy(GatewayError):
    """A limit of this process is reached; another process, or a later attempt, may succeed."""

    status, slug, title = 503, "busy", "This gateway is busy"

    def __init__(self, detail: str, retry_after_s: float = 5) -> None:
        super().__init__(detail)
        self.headers["Retry-After"] = str(max(1, math.ceil(retry_after_s)))
