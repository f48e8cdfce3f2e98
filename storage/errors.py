"""What can go wrong where things are kept.

One root, so that a caller who only wants to know "was it storage?" has one name to catch, and
one branch per thing that is away, wrong or full. Foreign exceptions become these in one place
per seam: `db/sql_errors.py` for the database, `objects/s3_errors.py` for the bucket,
`spool/file_format.py` for the disk.

    StorageError
    ├── DatabaseError
    │   ├── DatabaseUnavailable      may heal by itself: try again
    │   │   └── RowLocked            another transaction holds a row: nothing was changed
    │   ├── DatabaseMisconfigured    a person has to change a setting or a right
    │   ├── SchemaOutOfDate          the tables are missing, too old or too new
    │   └── RecordRefused            the database refused a value: trying again is useless
    ├── JobNotFound
    │   └── JobForgotten             there was one; a tombstone is what is left of it
    ├── BatchNotFound
    ├── BatchShut                    it was opened or given up while it was loaded
    ├── IdempotencyConflict          one key, two different requests
    ├── RecordUnreadable             a row this release cannot understand
    ├── DayExhausted                 the calls of a day are spent
    ├── ObjectStoreError
    │   ├── ObjectStoreUnavailable   may heal by itself: try again
    │   │   └── ObjectDigestMismatch the store received other bytes than were to be stored
    │   ├── ObjectStoreRefused       keys, rights or settings are wrong
    │   ├── BucketMissing
    │   └── ObjectMissing
    └── SpoolError
        ├── SpoolFull                the bound or the disk is reached
        ├── SpoolUnavailable         the folder cannot be read or written
        └── SpoolLost                a picture that was in the spool cannot be read any more
            ├── SpoolDamaged         its file is not what was written; it was set aside
            └── SpoolMissing         its file is gone
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from storage.records.tombstone import Tombstone


class StorageError(Exception):
    """Anything that went wrong where things are kept."""


class DatabaseError(StorageError):
    """The results table could not do what it was asked."""


class DatabaseUnavailable(DatabaseError):
    """The database is away, starting, locked or full: the same call may work later.

    A write that raised this may have been committed; every transition can be repeated safely.
    """


class RowLocked(DatabaseUnavailable):
    """Another transaction holds a lock for longer than a statement may wait or run.

    The statement changed nothing. The database itself is well: this says nothing about other rows,
    so no caller may take it for an outage.
    """


class DatabaseMisconfigured(DatabaseError):
    """The address, the password or a right is wrong; only a person can mend it."""


class SchemaOutOfDate(DatabaseError):
    """The tables are not those this release was written for.

    Attributes:
        found: The revision in the database, None where there are no tables at all.
        wanted: The revision this release was written for.
    """

    def __init__(self, found: str | None, wanted: str, detail: str = "") -> None:
        self.found = found
        self.wanted = wanted
        have = f"is at revision {found}" if found else "has no Darkroom tables"
        more = f" ({detail})" if detail else ""
        super().__init__(
            f"the database {have}, this release needs {wanted}: run `darkroom migrate`{more}"
        )


class RecordRefused(DatabaseError):
    """A value or a combination of values that no row may hold."""


class JobNotFound(StorageError):
    """No job has this id.

    Attributes:
        job_id: The id that was asked for.
    """

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"there is no job {job_id}")


class JobForgotten(JobNotFound):
    """The job of this id, or of this idempotency key, was forgotten, and does not come back.

    Attributes:
        tombstone: What is left of it.
    """

    def __init__(self, tombstone: Tombstone) -> None:
        super().__init__(tombstone.id)
        self.tombstone = tombstone
        when = f"{tombstone.forgotten_at:%Y-%m-%d %H:%M:%S} UTC"
        self.args = (f"job {tombstone.id} ({tombstone.status}) was forgotten at {when}",)


class BatchNotFound(StorageError):
    """No batch has this id.

    Attributes:
        batch_id: The id that was asked for.
    """

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(f"there is no batch {batch_id}")


class BatchShut(StorageError):
    """A batch takes in no more rows: another load of it has opened it, or given it up.

    Attributes:
        batch_id: The batch's id.
    """

    def __init__(self, batch_id: UUID) -> None:
        self.batch_id = batch_id
        super().__init__(
            f"batch {batch_id} was given up by another load of it: hand it in once more"
        )


class IdempotencyConflict(StorageError):
    """An idempotency key came back with another request than it was first used for.

    Attributes:
        job_id: The job (or batch) that holds the key.
    """

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        super().__init__(f"this idempotency key belongs to {job_id}, made from another request")


class RecordUnreadable(StorageError):
    """A row that this release cannot understand, such as a status of a newer one.

    Attributes:
        job_id: The row's id.
    """

    def __init__(self, job_id: UUID, reason: str) -> None:
        self.job_id = job_id
        super().__init__(f"job {job_id} cannot be read: {reason}")


class DayExhausted(StorageError):
    """The fleet has sent as many calls today as the settings allow.

    Attributes:
        most: How many those are.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"today's {most} calls are spent; the day ends at midnight UTC")


class ObjectStoreError(StorageError):
    """The bucket could not do what it was asked."""


class ObjectStoreUnavailable(ObjectStoreError):
    """The object store is away, slow or overloaded: the same call may work later."""


class ObjectDigestMismatch(ObjectStoreUnavailable):
    """Other bytes arrived, or were about to be sent, than those whose SHA-256 is known.

    If the source still has the right bytes, they changed on the way: the same call may work later.
    """


class ObjectStoreRefused(ObjectStoreError):
    """The object store answered no: wrong keys, no right, or a setting it does not know.

    Attributes:
        code: The store's own error code, such as `AccessDenied`.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


class BucketMissing(ObjectStoreError):
    """The bucket does not exist (or these keys may not see it).

    Attributes:
        bucket: Its name.
    """

    def __init__(self, bucket: str) -> None:
        self.bucket = bucket
        super().__init__(f"there is no bucket named {bucket!r}")


class ObjectMissing(ObjectStoreError):
    """The bucket holds nothing under this key.

    Attributes:
        key: The object key.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        super().__init__(f"the bucket holds nothing under {key!r}")


class SpoolError(StorageError):
    """The spool folder could not do what it was asked."""


class SpoolFull(SpoolError):
    """The spool's bound or its disk is reached; nothing half-written was left."""


class SpoolUnavailable(SpoolError):
    """The spool folder cannot be read or written: rights, a missing disk, an I/O error."""


class SpoolLost(SpoolError):
    """A picture that was in the spool cannot be read any more, now or later.

    Attributes:
        job_id: The job it was for, None where even that cannot be read.
        fence: The fence it was written under, None where that cannot be read.
    """

    job_id: UUID | None
    fence: int | None


class SpoolMissing(SpoolLost):
    """A spool file no longer exists: somebody deleted it, or its folder, or the disk is gone."""

    def __init__(self, path: Path, job_id: UUID, fence: int) -> None:
        self.job_id = job_id
        self.fence = fence
        super().__init__(f"spool file {path.name} no longer exists in {path.parent}")


class SpoolDamaged(SpoolLost):
    """A spool file is not what was written; it was set aside, not deleted.

    Attributes:
        path: Where the file lies now.
    """

    def __init__(self, path: Path, reason: str, job_id: UUID | None, fence: int | None) -> None:
        self.path = path
        self.job_id = job_id
        self.fence = fence
        super().__init__(f"spool file {path.name} is damaged ({reason}); set aside as {path}")
