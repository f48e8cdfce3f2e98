"""Define the errors of the database, the bucket and the spool.

All have one root, so a caller can catch any storage error by one name. Each branch is one thing
that is unavailable, invalid or full. Foreign exceptions are translated in one module each:
`db/sql_errors.py` for the database, `objects/s3_errors.py` for the bucket, `spool/file_format.py`
for the disk.

    StorageError
    ├── DatabaseError
    │   ├── DatabaseUnavailable      may be temporary: try again
    │   │   └── RowLocked            another transaction holds a row: nothing was changed
    │   ├── DatabaseMisconfigured    a person has to change a setting or a permission
    │   ├── SchemaOutOfDate          the tables are missing, too old or too new
    │   └── RecordRefused            the database refused a value: trying again is useless
    ├── JobNotFound
    │   └── JobForgotten             the job was deleted; its tombstone remains
    ├── BatchNotFound
    ├── BatchShut                    it was opened or abandoned while it was loaded
    ├── IdempotencyConflict          one key, two different requests
    ├── RecordUnreadable             a row that this release cannot read
    ├── DayExhausted                 the daily limit on calls is reached
    ├── ObjectStoreError
    │   ├── ObjectStoreUnavailable   may be temporary: try again
    │   │   └── ObjectDigestMismatch the store received other bytes than expected
    │   ├── ObjectStoreRefused       keys, permissions or settings are wrong
    │   ├── BucketMissing
    │   └── ObjectMissing
    └── SpoolError
        ├── SpoolFull                the size limit or the disk is reached
        ├── SpoolUnavailable         the folder cannot be read or written
        └── SpoolLost                a picture that was in the spool can no longer be read
            ├── SpoolDamaged         its file is not what was written; it was quarantined
            └── SpoolMissing         its file no longer exists
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from storage.records.tombstone import Tombstone


class StorageError(Exception):
    """Report any failure of the database, the bucket or the spool."""


class DatabaseError(StorageError):
    """Report that an operation on the results table failed."""


class DatabaseUnavailable(DatabaseError):
    """Report that the database is unreachable, starting, locked or full.

    The same call may succeed later. A write that raised this may have been committed; every
    transition can be repeated safely.
    """


class RowLocked(DatabaseUnavailable):
    """Report a lock of another transaction: it outlasted the time limit, or was half of a deadlock.

    The statement changed nothing. The database itself works, and other rows may be free. So a
    caller must not treat this as an outage.
    """


class DatabaseMisconfigured(DatabaseError):
    """Report a wrong address, password or permission; only a person can correct it."""


class SchemaOutOfDate(DatabaseError):
    """Report that the tables are not those this release was written for.

    Attributes:
        found: The revision in the database; None if there are no tables at all.
        needed: The revision this release was written for.
    """

    def __init__(self, found: str | None, needed: str, detail: str = "") -> None:
        self.found = found
        self.needed = needed
        have = f"is at revision {found}" if found else "has no Darkroom tables"
        more = f" ({detail})" if detail else ""
        super().__init__(
            f"the database {have}, this release needs {needed}: run `darkroom migrate`{more}"
        )


class RecordRefused(DatabaseError):
    """Report a value, or a combination of values, that no row may hold."""


class JobNotFound(StorageError):
    """Report that no job has this id.

    Attributes:
        job_id: The requested id.
    """

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"there is no job {job_id}")


class JobForgotten(JobNotFound):
    """Report that the job of this id or idempotency key was deleted and cannot be restored.

    Attributes:
        tombstone: The remaining record of the job.
    """

    def __init__(self, tombstone: Tombstone) -> None:
        super().__init__(tombstone.id)
        self.tombstone = tombstone
        when = f"{tombstone.forgotten_at:%Y-%m-%d %H:%M:%S} UTC"
        self.args = (f"job {tombstone.id} ({tombstone.status}) was forgotten at {when}",)


class BatchNotFound(StorageError):
    """Report that no batch has this id.

    Attributes:
        batch_id: The requested id.
    """

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(f"there is no batch {batch_id}")


class BatchShut(StorageError):
    """Report that a batch accepts no more rows: another load opened or abandoned it.

    Attributes:
        batch_id: The batch's id.
    """

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(
            f"batch {batch_id} was opened or abandoned by another load of it: submit it again"
        )


class IdempotencyConflict(StorageError):
    """Report an idempotency key that was first used for a different request.

    Attributes:
        job_id: The job (or batch) that holds the key.
    """

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"this idempotency key belongs to {job_id}, made from another request")


class RecordUnreadable(StorageError):
    """Report a row that this release cannot read, such as one with a newer release's status.

    Attributes:
        job_id: The row's id.
    """

    def __init__(self, job_id: UUID, reason: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} cannot be read: {reason}")


class DayExhausted(StorageError):
    """Report that the fleet has sent as many calls today as the settings allow.

    Args:
        limit: The daily limit.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"today's {limit} calls are spent; the day ends at midnight UTC")


class ObjectStoreError(StorageError):
    """Report that an operation on the bucket failed."""


class ObjectStoreUnavailable(ObjectStoreError):
    """Report that the object store is unreachable, slow or overloaded; a later call may work."""


class ObjectDigestMismatch(ObjectStoreUnavailable):
    """Report that the bytes received, or about to be sent, do not match the known SHA-256.

    If the source still has the right bytes, they changed in transit, and the same call may work
    later.
    """


class ObjectStoreRefused(ObjectStoreError):
    """Report a refusal: wrong keys, a missing permission, or a setting the store rejects.

    Attributes:
        code: The store's own error code, such as `AccessDenied`.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class BucketMissing(ObjectStoreError):
    """Report that the bucket does not exist, or is not visible with these keys.

    Attributes:
        bucket: Its name.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        super().__init__(f"there is no bucket named {bucket!r}")


class ObjectMissing(ObjectStoreError):
    """Report that the bucket has no object under this key.

    Attributes:
        key: The object key.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the bucket holds nothing under {key!r}")


class SpoolError(StorageError):
    """Report that an operation on the spool folder failed."""


class SpoolFull(SpoolError):
    """Report that the spool's size limit or its disk is reached; no partial file remains."""


class SpoolUnavailable(SpoolError):
    """Report a spool folder that cannot be read or written: permissions, no disk, an I/O error."""


class SpoolLost(SpoolError):
    """Report a picture that was in the spool and is permanently unreadable.

    Attributes:
        job_id: The job it belongs to; None if that cannot be read.
        fence: The fence it was written under; None if that cannot be read.
    """

    job_id: UUID | None
    fence: int | None


class SpoolMissing(SpoolLost):
    """Report that a spool file no longer exists: it, its folder or its disk was removed."""

    def __init__(self, path: Path, job_id: UUID, fence: int) -> None:
        self.job_id = job_id
        self.fence = fence
        super().__init__(f"spool file {path.name} no longer exists in {path.parent}")


class SpoolDamaged(SpoolLost):
    """Report a spool file that is not what was written; it was quarantined, not deleted.

    Attributes:
        path: The quarantined file.
    """

    def __init__(self, path: Path, reason: str, job_id: UUID | None, fence: int | None) -> None:
        self.path = path
        self.job_id = job_id
        self.fence = fence
        super().__init__(f"spool file {path.name} is damaged ({reason}); it was moved to {path}")
