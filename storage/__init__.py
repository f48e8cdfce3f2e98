"""Where things are kept: the results table, the object store and the spool; Darkroom's truth."""

from storage.accept import MAX_CHUNK_JOBS, Accepted, insert_job, insert_jobs
from storage.accept_ended import insert_expired_job, insert_faulty_job
from storage.adopt import adopt_image
from storage.api_keys import (
    SECRET_PREFIX,
    ApiKey,
    NewKey,
    any_keys,
    create_key,
    find_key,
    list_keys,
    note_key_used,
    revoke_key,
)
from storage.backlog import count_queued
from storage.batch_counts import BatchProgress, batch_progress, fold_batch_deltas
from storage.batch_rows import BatchRow, RowsInCommon, insert_batch_rows
from storage.batches import (
    Batch,
    batch_callback,
    create_batch,
    find_batch,
    get_batch,
    list_batches,
    open_batch,
)
from storage.bucket_probe import check_rights, verifies_payload
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
from storage.day import calls_today, forget_days
from storage.dispatch import (
    count_dispatched,
    forget_lost,
    refresh_dispatched,
    reserve_due,
    reserve_if_alone,
    unreserve,
)
from storage.doomed import (
    TAKEN_FOR_S,
    DoomedState,
    doomed_state,
    renew_doomed,
    spare_init_image,
    strike_off,
    take_doomed,
)
from storage.errors import (
    BatchNotFound,
    BatchShut,
    BucketMissing,
    DatabaseError,
    DatabaseMisconfigured,
    DatabaseUnavailable,
    DayExhausted,
    IdempotencyConflict,
    JobForgotten,
    JobNotFound,
    ObjectDigestMismatch,
    ObjectMissing,
    ObjectStoreError,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    RecordRefused,
    RecordUnreadable,
    RowLocked,
    SchemaOutOfDate,
    SpoolDamaged,
    SpoolError,
    SpoolFull,
    SpoolLost,
    SpoolMissing,
    SpoolUnavailable,
    StorageError,
)
from storage.finish import finish_if_held, mark_storing_if_held
from storage.fleet import FleetState, fleet_state
from storage.forget import Forgotten, forget_jobs
from storage.forgettable import Extent, Meant, count_meant, walk_meant
from storage.held_rows import HeldRow, held_rows
from storage.jobs import Job, JobError, NewJob, StoredImage, Whose
from storage.json_text import JsonText, json_text
from storage.keys import image_key, init_image_key
from storage.late_indexes import missing_indexes
from storage.leadership import Leadership, lead, resign
from storage.leases import (
    Worker,
    WorkerInfo,
    end_lease,
    forget_workers,
    free_slots,
    live_workers,
    register_worker,
    renew_lease,
)
from storage.let_go import fail_if_held, hand_back_if_held, retry_later_if_held
from storage.limits import VERIFY, Limits
from storage.lookup import get_job, get_jobs, job_by_key
from storage.migrate import check_schema, migrate, schema_status
from storage.needs_release import MOST_COUNTED, Unserved, newest_release, unserved_jobs
from storage.object_pages import ListedObject, StoredObject
from storage.objects import ObjectStore
from storage.owners import Owner, OwnerChanges, get_owner, list_owners, set_owner_limits
from storage.pages import Cursor, list_jobs, page_of_jobs, stuck_jobs
from storage.pause import (
    Pause,
    PauseKind,
    end_pause_if_over,
    pause_fleet,
    resume_fleet,
    take_probe,
)
from storage.pieces import Pieces
from storage.probe import due_job_with_fewest_calls
from storage.put_back import put_back, put_back_refused
from storage.queue_position import MAX_POSITION, queue_position
from storage.requeue_lost import requeue_lost
from storage.rescue import Rescued, rescue_dead
from storage.reuse import owner_reuses, owners_reusing, set_owner_reuse
from storage.revisions import OLDEST_RELEASE, RELEASE
from storage.selection import (
    CHUNK_JOBS,
    Selection,
    Standing,
    Tally,
    count_held_unasked,
    database_time,
    held_unasked,
    standings,
    tally_jobs,
    walk_jobs,
)
from storage.share import slow_down, speed_up
from storage.sightings import Sighting, sightings
from storage.spool import Spool
from storage.spool_files import (
    SpooledFacts,
    SpooledImage,
    SpoolEntry,
    is_unchanged,
    unwritten_entry,
)
from storage.spool_quarantine import Quarantined, quarantined_files
from storage.spool_search import find_spooled
from storage.states import ENDED, HELD, CallCount, EndCode, JobStatus
from storage.stored_rows import (
    StoredPage,
    StoredRow,
    keys_in_use,
    page_of_stored,
    stored_rows,
)
from storage.streams import Rotation
from storage.together import made_alone
from storage.tombstones import Tombstone, find_tombstone, forgotten_among, objects_left
from storage.unopened import delete_unopened, unopened_batches
from storage.worker_calls import CallReport, Peers, ask_to_resume, peers_of, report_calls

__all__ = [
    "CHUNK_JOBS",
    "ENDED",
    "HELD",
    "MAX_CHUNK_JOBS",
    "MAX_POSITION",
    "MOST_COUNTED",
    "OLDEST_RELEASE",
    "RELEASE",
    "SECRET_PREFIX",
    "TAKEN_FOR_S",
    "VERIFY",
    "Accepted",
    "ApiKey",
    "Batch",
    "BatchNotFound",
    "BatchProgress",
    "BatchRow",
    "BatchShut",
    "BucketMissing",
    "CallCount",
    "CallReport",
    "CancelOutcome",
    "Cancelled",
    "Cursor",
    "Database",
    "DatabaseError",
    "DatabaseMisconfigured",
    "DatabaseUnavailable",
    "DayExhausted",
    "DoomedState",
    "EndCode",
    "Extent",
    "FleetState",
    "Forgotten",
    "HeldRow",
    "IdempotencyConflict",
    "Job",
    "JobError",
    "JobForgotten",
    "JobNotFound",
    "JobStatus",
    "JsonText",
    "Leadership",
    "Limits",
    "ListedObject",
    "Meant",
    "NewJob",
    "NewKey",
    "ObjectDigestMismatch",
    "ObjectMissing",
    "ObjectStore",
    "ObjectStoreError",
    "ObjectStoreRefused",
    "ObjectStoreUnavailable",
    "Owner",
    "OwnerChanges",
    "Pause",
    "PauseKind",
    "Peers",
    "Pieces",
    "Quarantined",
    "RecordRefused",
    "RecordUnreadable",
    "Rescued",
    "Rotation",
    "RowLocked",
    "RowsInCommon",
    "SchemaOutOfDate",
    "Selection",
    "Sighting",
    "Spool",
    "SpoolDamaged",
    "SpoolEntry",
    "SpoolError",
    "SpoolFull",
    "SpoolLost",
    "SpoolMissing",
    "SpoolUnavailable",
    "SpooledFacts",
    "SpooledImage",
    "Standing",
    "StorageError",
    "StoredImage",
    "StoredObject",
    "StoredPage",
    "StoredRow",
    "Tally",
    "Tombstone",
    "Unserved",
    "Whose",
    "Worker",
    "WorkerInfo",
    "adopt_image",
    "any_keys",
    "ask_cancel",
    "ask_to_resume",
    "batch_callback",
    "batch_progress",
    "calls_today",
    "cancel_jobs",
    "check_rights",
    "check_schema",
    "claim_if_due",
    "count_dispatched",
    "count_held_unasked",
    "count_meant",
    "count_queued",
    "create_batch",
    "create_key",
    "database_time",
    "delete_unopened",
    "doomed_state",
    "due_job_with_fewest_calls",
    "end_lease",
    "end_pause_if_over",
    "expire_due",
    "fail_if_held",
    "find_batch",
    "find_key",
    "find_spooled",
    "find_tombstone",
    "finish_if_held",
    "fleet_state",
    "fold_batch_deltas",
    "forget_days",
    "forget_jobs",
    "forget_lost",
    "forget_workers",
    "forgotten_among",
    "free_slots",
    "get_batch",
    "get_job",
    "get_jobs",
    "get_owner",
    "hand_back_if_held",
    "held_rows",
    "held_unasked",
    "image_key",
    "init_image_key",
    "insert_batch_rows",
    "insert_expired_job",
    "insert_faulty_job",
    "insert_job",
    "insert_jobs",
    "is_unchanged",
    "job_by_key",
    "json_text",
    "keys_in_use",
    "lead",
    "list_batches",
    "list_jobs",
    "list_keys",
    "list_owners",
    "live_workers",
    "made_alone",
    "mark_storing_if_held",
    "migrate",
    "missing_indexes",
    "newest_release",
    "note_key_used",
    "objects_left",
    "open_batch",
    "owner_reuses",
    "owners_reusing",
    "page_of_jobs",
    "page_of_stored",
    "pause_fleet",
    "peers_of",
    "put_back",
    "put_back_refused",
    "quarantined_files",
    "queue_position",
    "refresh_dispatched",
    "register_worker",
    "renew_doomed",
    "renew_lease",
    "report_calls",
    "requeue_lost",
    "rescue_dead",
    "reserve_due",
    "reserve_if_alone",
    "resign",
    "resume_fleet",
    "retry_ended",
    "retry_later_if_held",
    "revoke_key",
    "schema_status",
    "set_owner_limits",
    "set_owner_reuse",
    "sightings",
    "slow_down",
    "spare_init_image",
    "speed_up",
    "standings",
    "stored_rows",
    "strike_off",
    "stuck_jobs",
    "take_doomed",
    "take_probe",
    "tally_jobs",
    "unopened_batches",
    "unreserve",
    "unserved_jobs",
    "unwritten_entry",
    "verifies_payload",
    "walk_jobs",
    "walk_meant",
]
