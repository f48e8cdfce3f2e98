"""Where things are kept: the results table, the object store and the spool; Darkroom's truth."""

from storage.accept import MAX_CHUNK_JOBS, Accepted, insert_faulty_job, insert_job, insert_jobs
from storage.adopt import adopt_image
from storage.batch_counts import BatchProgress, batch_progress, fold_batch_deltas
from storage.batches import (
    Batch,
    create_batch,
    delete_unopened,
    get_batch,
    list_batches,
    open_batch,
    unopened_batches,
)
from storage.cancel import (
    Cancelled,
    CancelOutcome,
    ask_cancel,
    cancel_jobs,
    expire_due,
    retry_ended,
)
from storage.claim import claim_if_due
from storage.database import Database
from storage.dispatch import (
    count_dispatched,
    refresh_dispatched,
    reserve_due,
    unreserve,
)
from storage.errors import (
    BatchNotFound,
    BucketMissing,
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    IdempotencyConflict,
    JobNotFound,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    RecordRefused,
    RecordUnreadable,
    SchemaOutOfDate,
    SpoolDamaged,
    SpoolError,
    SpoolFull,
    SpoolUnavailable,
    StorageError,
)
from storage.finish import finish_if_held, mark_storing_if_held
from storage.jobs import Job, JobError, NewJob, StoredImage, Whose
from storage.keys import image_key, init_image_key
from storage.leadership import Leadership, lead, resign
from storage.leases import (
    Worker,
    WorkerInfo,
    end_lease,
    forget_workers,
    live_workers,
    register_worker,
    renew_lease,
)
from storage.let_go import fail_if_held, hand_back_if_held, retry_later_if_held
from storage.lookup import Cursor, get_job, get_jobs, job_by_key, list_jobs, stuck_jobs
from storage.migrate import check_schema, migrate, schema_status
from storage.objects import ObjectStore, StoredObject
from storage.rescue import Rescued, rescue_dead
from storage.spool import Spool
from storage.spool_files import SpooledFacts, SpooledImage, SpoolEntry
from storage.states import ENDED, HELD, CallCount, EndCode, JobStatus
from storage.streams import Rotation

__all__ = [
    "ENDED",
    "HELD",
    "MAX_CHUNK_JOBS",
    "Accepted",
    "Batch",
    "BatchNotFound",
    "BatchProgress",
    "BucketMissing",
    "CallCount",
    "CancelOutcome",
    "Cancelled",
    "Cursor",
    "Database",
    "DatabaseError",
    "DatabaseMisconfigured",
    "DatabaseUnavailable",
    "EndCode",
    "IdempotencyConflict",
    "Job",
    "JobError",
    "JobNotFound",
    "JobStatus",
    "Leadership",
    "NewJob",
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectStoreRefused",
    "ObjectStoreUnavailable",
    "RecordRefused",
    "RecordUnreadable",
    "Rescued",
    "Rotation",
    "SchemaOutOfDate",
    "Spool",
    "SpoolDamaged",
    "SpoolEntry",
    "SpoolError",
    "SpoolFull",
    "SpoolUnavailable",
    "SpooledFacts",
    "SpooledImage",
    "StorageError",
    "StoredImage",
    "StoredObject",
    "Whose",
    "Worker",
    "WorkerInfo",
    "adopt_image",
    "ask_cancel",
    "batch_progress",
    "cancel_jobs",
    "check_schema",
    "claim_if_due",
    "count_dispatched",
    "create_batch",
    "delete_unopened",
    "end_lease",
    "expire_due",
    "fail_if_held",
    "finish_if_held",
    "fold_batch_deltas",
    "forget_workers",
    "get_batch",
    "get_job",
    "get_jobs",
    "hand_back_if_held",
    "image_key",
    "init_image_key",
    "insert_faulty_job",
    "insert_job",
    "insert_jobs",
    "job_by_key",
    "lead",
    "list_batches",
    "list_jobs",
    "live_workers",
    "mark_storing_if_held",
    "migrate",
    "open_batch",
    "refresh_dispatched",
    "register_worker",
    "renew_lease",
    "rescue_dead",
    "reserve_due",
    "resign",
    "retry_ended",
    "retry_later_if_held",
    "schema_status",
    "stuck_jobs",
    "unopened_batches",
    "unreserve",
]
