"""Format jobs for people and for programs, and parse ids and times."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.records.delivery import Delivery
    from storage.records.job import Job

__all__ = [
    "delivery_in_words",
    "job_as_json",
    "label_of",
    "local_time",
    "parse_duration_s",
    "parse_job_id",
    "parse_since",
    "size_text",
    "what_became_of",
]

_UNITS_S: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd]?)", re.ASCII)

#: A detail of claiming that is of no use outside.
_NOT_SHOWN: Final = "claim_token"


def job_as_json(job: "Job") -> dict[str, Any]:
    """Return every field of a job, by the names of the results table."""
    return {name: getattr(job, name) for name in job.__slots__ if name != _NOT_SHOWN}


def delivery_in_words(delivery: "Delivery") -> str:
    """Describe the state of a job's webhook delivery in a line."""
    last = delivery.last_error if delivery.last_status is None else str(delivery.last_status)
    after = f" after {delivery.attempts:,}" if delivery.attempts else ""
    words = f"{delivery.state}{after}{f' ({last})' if last else ''}"
    if delivery.next_attempt_at is None:
        return words
    return f"{words}, next {local_time(delivery.next_attempt_at)}"


def local_time(moment: datetime | None, *, to: str = "%Y-%m-%d %H:%M:%S %Z") -> str:
    """Return a time in this machine's zone, with the zone; a dash for None."""
    return "-" if moment is None else moment.astimezone().strftime(to)


def size_text(size_bytes: int) -> str:
    """Return bytes as `1.5 MB`."""
    if size_bytes < 1_000_000:  # noqa: PLR2004 - below, kilobytes read better
        return f"{size_bytes / 1000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def label_of(text: str) -> str:
    """Return a name or reason as one line without control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()


def what_became_of(job: "Job") -> str:
    """Describe a job's end, or its current state, in a line."""
    if job.images:
        image = job.images[0]
        facts = f"{image.width}x{image.height} {size_text(image.size_bytes)}"
        return f"{job.status} {image.key} {facts} seed {job.request.get('seed', '-')}"
    if job.error is not None:
        return f"{job.status} {job.error.code}: {job.error.message}"
    return str(job.status)


def parse_job_id(text: str) -> UUID:
    """Parse the id of a job or a batch.

    Raises:
        UserError: the text is not a valid id, so no such job exists.
    """
    try:
        return UUID(text)
    except ValueError:
        raise UserError(f"there is no {text[:60]!r}: an id is a UUID") from None


def parse_duration_s(text: str) -> float:
    """Parse `90`, `90s`, `30m`, `2h` or `7d` as seconds.

    Raises:
        ValueError: the text has none of these forms.
    """
    found = _DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    return float(found[1]) * _UNITS_S[found[2] or "s"]


def parse_since(text: str, *, option: str = "--since") -> datetime:
    """Parse a time in ISO form (local, unless it names a zone), or how long ago it was.

    Raises:
        UserError: the text has neither form.
    """
    try:
        return datetime.now(UTC) - timedelta(seconds=parse_duration_s(text))
    except (ValueError, OverflowError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise UserError(
            f"{option} {text[:40]!r}: a time such as 2026-05-01T08:30, or 30m, 2h, 7d",
            exit_status=2,
        ) from None
