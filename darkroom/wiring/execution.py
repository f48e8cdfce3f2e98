"""Build what runs one job on a thread of a worker, from settings."""

import os
import threading

from darkroom.settings import Settings
from darkroom.wiring.factory import Wiring
from tasks.execution.api_call import ApiCall
from tasks.execution.call_control import CallControl
from tasks.execution.claim_job import ClaimJob, ClaimSettings
from tasks.execution.prepare_call import PrepareCall
from tasks.execution.record_failure import RecordFailure
from tasks.execution.recover_stored import RecoverStored
from tasks.execution.retry_policy import RetryPolicy
from tasks.execution.run_job import RunJob
from tasks.storing.keep_images import KeepImages
from tasks.storing.open_claims import OpenClaims
from tasks.storing.spool_space import SpoolSpace
from tasks.storing.uploader import Uploader
from tasks.throttling.byte_limiter import ByteLimiter
from tasks.throttling.fleet_sync import FleetSync

__all__ = ["make_run_job"]


def make_run_job(
    wiring: Wiring,
    *,
    space: SpoolSpace,
    uploads: Uploader,
    control: CallControl,
    fleet: FleetSync,
    open_claims: OpenClaims,
) -> RunJob:
    """Build the run of a job.

    Args:
        wiring: settings, table, bucket and client.
        space: the spool's space for calls.
        uploads: the spool and its uploads.
        control: decides when the next call may start.
        fleet: keeps the worker in step with the fleet's row.
        open_claims: lists the claims that this process works on.
    """
    failures = RecordFailure(
        wiring.database,
        policy=_retry_policy(wiring.settings),
        gate=control.gate,
        breaker=control.breaker,
        fleet=fleet,
    )
    claims = ClaimJob(
        wiring.database,
        wiring.dispatch,
        _claim_settings(wiring),
        gate=control.gate,
        fleet=fleet,
        open_claims=open_claims,
    )
    recover = RecoverStored(wiring.database, wiring.objects, key_prefix=wiring.key_prefix)
    return RunJob(
        space=space,
        control=control,
        claims=claims,
        prepare=PrepareCall(wiring.objects, recover, failures),
        api=_api_call(wiring),
        images=KeepImages(wiring.database, uploads, worker_id=wiring.worker_id),
        failures=failures,
    )


def _retry_policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=settings.max_attempts,
        max_useless_calls=settings.max_useless_calls,
        max_unknown_calls=settings.max_unknown_calls,
        backoff_base_s=settings.backoff_base_s,
        backoff_max_s=settings.backoff_max_s,
        hold_s=settings.hold_s,
    )


def _claim_settings(wiring: Wiring) -> ClaimSettings:
    settings = wiring.settings
    return ClaimSettings(
        worker_id=wiring.worker_id,
        deadline_s=settings.call_deadline_s,
        max_calls=settings.max_calls_per_job,
        max_calls_per_day=settings.max_calls_per_day,
    )


def _api_call(wiring: Wiring) -> ApiCall:
    settings = wiring.settings
    decode_threads = settings.decode_threads or 2 * (os.cpu_count() or 1)
    return ApiCall(
        wiring.playground,
        reading=ByteLimiter(settings.reading_bytes),
        decoding=threading.Semaphore(decode_threads),
        recipe=settings.embed_recipe,
    )
