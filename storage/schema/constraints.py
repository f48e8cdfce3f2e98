"""Define the CHECKs and the conditions of partial indexes, in SQL valid in both dialects.

The CHECKs are the last defence against a wrong transition or a manual UPDATE. They reject a row
that has succeeded without images, ended without a time, or is held without a worker.

The conditions belong to partial indexes, which keep a query as small as its result, however many
million rows have ended. They are literals, because neither planner matches partial indexes against
parameters.
"""

from __future__ import annotations

HELD_SQL = "status IN ('running', 'storing')"
ENDED_SQL = "status IN ('succeeded', 'failed', 'cancelled')"

# The dispatcher's conditions do not name the status, though they imply it (see the CHECKs). If the
# statistics are older than the last million jobs, the planner estimates that few rows are queued.
# It would then search all queued rows for a ready one.
READY_SQL = (
    "ended_at IS NULL AND worker_id IS NULL AND dispatched_at IS NULL AND not_before IS NULL"
)
WAITING_SQL = "not_before IS NOT NULL"
DISPATCHED_SQL = "dispatched_at IS NOT NULL"
EXPIRING_SQL = "ended_at IS NULL AND expires_at IS NOT NULL AND first_call_at IS NULL"
NEEDS_RELEASE_SQL = "needs_release IS NOT NULL AND ended_at IS NULL"

# Deliveries that are due at some time, and those that a person may want to replay.
DUE_SQL = "next_attempt_at IS NOT NULL"

# A delivery's receiver: scheme, host and port of its URL, or the task and queue. Receivers share
# threads fairly. It is never empty. SQLite has no regular expressions.
RECEIVER_SQL = "lower(coalesce(substring(target from '^[^/?#]*//[^/?#]*'), target))"
_AFTER_SCHEME = "substr(target, instr(target, '//') + 2)"
RECEIVER_SQLITE = (
    "lower(CASE WHEN instr(target, '//') = 0 THEN target"
    " ELSE substr(target, 1, instr(target, '//') + min("
    f"instr({_AFTER_SCHEME} || '/', '/'), instr({_AFTER_SCHEME} || '?', '?'),"
    f" instr({_AFTER_SCHEME} || '#', '#'))) END)"
)
UNDELIVERED_SQL = "state IN ('failed', 'disabled')"

LISTED = ("queued", "failed", "cancelled")
"""States with an index of their own for listing: few rows are held, many are in the others."""

JOB_CHECKS = {
    "status_known": (
        "status IN ('queued', 'running', 'storing', 'succeeded', 'failed', 'cancelled')"
    ),
    "held_by_a_worker": f"NOT ({HELD_SQL}) OR (worker_id IS NOT NULL AND claim_token IS NOT NULL)",
    "queued_by_nobody": "status <> 'queued' OR (worker_id IS NULL AND claim_token IS NULL)",
    "deadline_while_running": "(status = 'running') = (call_deadline IS NOT NULL)",
    "waits_only_queued": "status = 'queued' OR (not_before IS NULL AND dispatched_at IS NULL)",
    "queued_not_cancelled": "status <> 'queued' OR NOT cancel_asked",
    "ended_has_time": f"({ENDED_SQL}) = (ended_at IS NOT NULL)",
    "images_where_due": (
        "(status NOT IN ('storing', 'succeeded') OR images IS NOT NULL)"
        " AND (status NOT IN ('queued', 'running', 'failed') OR images IS NULL)"
    ),
    "image_has_time": "images IS NULL OR image_in_hand_at IS NOT NULL",
    "error_where_due": (
        "(status <> 'failed' OR error_code IS NOT NULL)"
        " AND (status <> 'succeeded' OR error_code IS NULL)"
    ),
    "error_whole": (
        "(error_code IS NULL) = (error_message IS NULL)"
        " AND (error_code IS NULL) = (error_whose IS NULL)"
    ),
    "error_whose_known": (
        "error_whose IS NULL"
        " OR error_whose IN ('request', 'api', 'storage', 'darkroom', 'operator')"
    ),
    "counts_not_negative": (
        "fence >= 0 AND attempts >= 0 AND calls_made >= 0 AND calls_unknown >= 0"
        " AND calls_useless >= 0 AND calls_lost >= 0 AND calls_duplicate >= 0"
    ),
    "counted_calls_were_made": (
        "calls_unknown + calls_useless + calls_lost + calls_duplicate <= calls_made"
    ),
    "calls_before_were_made": "calls_before >= 0 AND calls_before <= calls_made",
}
"""Rules for a job's row, by the name that a violation is reported under."""

BATCH_CHECKS = {
    "counts_not_negative": "succeeded >= 0 AND failed >= 0 AND cancelled >= 0",
    "open_has_total": "(opened_at IS NULL) = (total IS NULL)",
    "closed_was_open": "closed_at IS NULL OR opened_at IS NOT NULL",
    "abandoned_not_open": "abandoned_at IS NULL OR opened_at IS NULL",
}
"""Rules for a batch's row."""

FLEET_CHECKS = {
    "one_row": "id = 1",
    "pause_is_whole": "(pause_kind IS NULL) = (paused_at IS NULL)"
    " AND (pause_kind IS NULL) = (pause_code IS NULL)",
    "share_in_bounds": "share > 0 AND share <= 1",
}
"""Rules for the fleet's single row."""

KEY_CHECKS = {"hash_is_sha256": "length(secret_hash) = 64"}
"""Rules for an API key's row: above all, it must not contain the secret itself."""

OWNER_CHECKS = {
    "rate_is_positive": "max_per_second IS NULL OR max_per_second > 0",
    "queued_not_negative": "max_queued IS NULL OR max_queued >= 0",
    "in_flight_not_negative": "max_in_flight IS NULL OR max_in_flight >= 0",
    "calls_not_negative": "max_calls_per_day IS NULL OR max_calls_per_day >= 0",
}
"""Rules for an owner's row."""

DELIVERY_CHECKS = {
    "state_known": "state IN ('pending', 'delivered', 'failed', 'disabled')",
    "pending_has_next": "(state = 'pending') = (next_attempt_at IS NOT NULL)",
    "ended_has_time": "(state = 'pending') = (ended_at IS NULL)",
    "held_while_pending": "claim_token IS NULL OR state = 'pending'",
    "of_something": "job_id IS NOT NULL OR batch_id IS NOT NULL",
    "attempts_before_were_made": "attempts_before >= 0 AND attempts_before <= attempts",
}
"""Rules for a delivery's row."""

ATTEMPT_CHECKS = {"answer_or_error": "(status IS NULL) <> (error IS NULL)"}
"""Rules for an attempt's row: it has either a response or an error."""

TOMBSTONE_CHECKS = {
    "only_of_the_ended": ENDED_SQL,
    "key_is_hashed": "key_hash IS NULL OR length(key_hash) = 64",
}
"""Rules for a tombstone's row: above all, it must not contain the key itself."""
