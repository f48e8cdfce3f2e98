"""Which checks run, and in which order: for a worker's start and for `darkroom doctor`."""

from collections.abc import Callable, Iterable, Iterator

from darkroom.checks.broker import check_broker
from darkroom.checks.bucket import (
    check_bucket,
    check_payload,
    check_rights,
    create_missing_bucket,
)
from darkroom.checks.call_limits import check_call_limits
from darkroom.checks.clock import check_clock
from darkroom.checks.deletions import check_deletions
from darkroom.checks.finding import Finding, Level
from darkroom.checks.fleet import check_fleet
from darkroom.checks.key import check_key
from darkroom.checks.limits import check_limits
from darkroom.checks.names import check_names
from darkroom.checks.pause import check_pause
from darkroom.checks.spool import check_spool
from darkroom.checks.table import check_server_identity, check_table
from darkroom.errors import UserError
from darkroom.wiring.factory import Wiring
from playground.errors import PlaygroundError
from storage.errors import StorageError

__all__ = ["examine", "look_before_work"]

Check = Callable[[Wiring], Iterable[Finding]]

#: In order. A check after the first of a row runs only if those before it found nothing bad.
ROWS: tuple[tuple[str, tuple[Check, ...]], ...] = (
    ("settings", (check_names,)),
    ("broker", (check_broker, check_call_limits)),
    (
        "database",
        (
            check_table,
            check_server_identity,
            check_limits,
            check_clock,
            check_fleet,
            check_pause,
            check_deletions,
        ),
    ),
    ("bucket", (check_bucket, check_rights, check_payload)),
    ("API key", (check_key,)),
    ("spool", (check_spool,)),
)

BEFORE_WORK: tuple[Check, ...] = (
    check_names,
    check_broker,
    check_call_limits,
    check_table,
    check_bucket,
    check_key,
)


def examine(wiring: Wiring, *, create_bucket: bool = False) -> Iterator[Finding]:
    """Run all checks and continue after a fault.

    Args:
        wiring: the installation to check.
        create_bucket: create the bucket first, if it does not exist.
    """
    for about, checks in ROWS:
        first = (create_missing_bucket,) if create_bucket and about == "bucket" else ()
        yield from _row(wiring, about, (*first, *checks))


def look_before_work(wiring: Wiring) -> Iterator[Finding]:
    """Run the checks that a worker depends on.

    Raises:
        UserError: the first fault that must stop a worker.
    """
    for check in BEFORE_WORK:
        for finding in check(wiring):
            if finding.level is Level.BAD and finding.stops_worker:
                raise UserError(finding.line)
            yield finding


def _row(wiring: Wiring, about: str, checks: tuple[Check, ...]) -> Iterator[Finding]:
    for check in checks:
        try:
            yield from check(wiring)
        except (UserError, StorageError, PlaygroundError) as error:
            yield Finding(about, Level.BAD, str(error))
            return
