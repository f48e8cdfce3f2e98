"""What the routes need, as one record: who builds it and from which settings is not their business.

It is handed to each part's `router(services)`; a test builds one over real services.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from gateway.auth.caller import Authenticate
from gateway.auth.intake_limits import OwnerLimits
from gateway.job_watcher import Watch
from storage.db.database import Database
from storage.objects.store import ObjectStore
from tasks.submission.intake import Intake

__all__ = ["GatewayLimits", "Services"]


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Bounds of one gateway process.

    Attributes:
        max_body_bytes: of one job's body, as it came and unpacked; an `init_image` is in it.
        max_text_bytes: of the same without its `init_image`.
        max_batch_bytes: of one batch, as it came and unpacked; it lies on disk.
        silence_s: a batch may pause so long while it arrives.
        loads: batches checked and loaded at once, of one owner all but one; others wait.
        body_timeout_s: for a body of one job to arrive.
        max_wait_s: a client may wait for a job's end in one request.
        max_watchers: waits and event streams at once, of one owner at most half.
        threads: routes at work at once, as storage is synchronous.
        bulk_s: one bulk request goes on for; what is left is for the next.
        events_s: an event stream stays open; its client then comes back by itself.
    """

    max_body_bytes: int = 32_000_000
    max_text_bytes: int = 1_000_000
    max_batch_bytes: int = 2_000_000_000
    silence_s: float = 60.0
    loads: int = 3
    body_timeout_s: float = 60.0
    max_wait_s: float = 60.0
    max_watchers: int = 2000
    threads: int = 32
    bulk_s: float = 20.0
    events_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with.

    Attributes:
        database: the results table.
        intake: where jobs come in.
        objects: gives the bucket, when a route first needs it.
        authenticate: makes a caller of an `Authorization` header.
        owners: keeps owners to their limits; whatever hands in asks it first.
        watch: tells of jobs whose row changed.
        key_prefix: before every object key of this fleet.
        url_expires_s: how long a signed link works.
        max_calls_per_job: calls that a retried job may cost.
        limits: of this process.
    """

    database: Database
    intake: Intake
    objects: Callable[[], ObjectStore]
    authenticate: Authenticate
    owners: OwnerLimits
    watch: Watch
    key_prefix: str = ""
    url_expires_s: int = 3600
    max_calls_per_job: int = 3
    limits: GatewayLimits = field(default_factory=GatewayLimits)
