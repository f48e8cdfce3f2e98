"""Define what the routes need, as one record; the caller builds it from the settings.

Each route package's `router(services)` receives it; a test builds one over real services.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Self

from gateway.auth.caller import Authenticate
from gateway.auth.intake_limits import OwnerLimits
from gateway.job_watcher import Watch
from storage.db.database import Database
from storage.objects.store import ObjectStore
from tasks.submission.intake import Intake

__all__ = ["GatewayLimits", "GatewaySettings", "Services"]

#: The fewest loads at once in a process: with one, an owner's large batch would hold up another's.
FEWEST_LOADS: Final = 2


@dataclass(frozen=True, slots=True)
class GatewayLimits:
    """Limits of one gateway process.

    Attributes:
        max_body_bytes: of one job's body, as received and decompressed, including an `init_image`.
        max_text_bytes: of the same without its `init_image`.
        max_batch_bytes: of one batch, as received and decompressed; it is stored on disk.
        silence_s: longest pause of a batch while it arrives.
        loads: batches checked and loaded at once, for one owner all but one; others wait.
        body_timeout_s: time for a body of one job to arrive.
        max_wait_s: longest wait for a job's end in one request.
        max_watchers: concurrent waits and event streams, for one owner at most half.
        threads: routes running at once, because storage is synchronous.
        bulk_s: how long one bulk request runs; the rest is left for the next request.
        events_s: how long an event stream stays open; its client then reconnects by itself.
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

    def divided_by(self, processes: int) -> Self:
        """Return the limits of each of several processes that serve one port, rounded up."""
        if processes == 1:
            return self
        return replace(
            self,
            loads=max(FEWEST_LOADS, math.ceil(self.loads / processes)),
            max_watchers=math.ceil(self.max_watchers / processes),
        )


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Settings of a gateway: what it has in common with the fleet's workers, and its limits.

    Attributes:
        key_prefix: prefix of every object key of this fleet.
        url_expires_s: how long a signed link works.
        max_calls_per_job: calls that a retried job may cost.
        limits: of this process.
    """

    key_prefix: str = ""
    url_expires_s: int = 3600
    max_calls_per_job: int = 3
    limits: GatewayLimits = field(default_factory=GatewayLimits)


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes work with.

    Attributes:
        database: the results table.
        intake: accepts jobs.
        objects: returns the bucket, when a route first needs it.
        authenticate: returns the caller for an `Authorization` header, or its look-up.
        owners: enforces owners' limits; every submission calls it first.
        watch: notifies waiting callers of changed jobs.
        settings: plain values.
    """

    database: Database
    intake: Intake
    objects: Callable[[], ObjectStore]
    authenticate: Authenticate
    owners: OwnerLimits
    watch: Watch
    settings: GatewaySettings = field(default_factory=GatewaySettings)
