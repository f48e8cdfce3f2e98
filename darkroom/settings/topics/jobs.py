"""Settings of a job's life: leases, dispatch, attempts, and when the fleet pauses."""

from pydantic import Field
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Count, Seconds

__all__ = ["JobSettings"]


class JobSettings(BaseSettings):
    """Settings of a job's life: leases, dispatch, attempts, and when the fleet pauses."""

    # Leases and dispatch
    heartbeat_s: Seconds = Field(5.0, description="How often a worker renews its lease.")
    lease_s: Seconds = Field(
        20.0, description="A worker silent for this long is dead and its jobs are rescued."
    )
    dispatch_every_s: Seconds = Field(
        0.25, le=60, description="How often the leader looks for jobs that are due."
    )
    dispatch_window: Count | None = Field(
        None,
        description="Most jobs in broker and inboxes; by default about two seconds of starts.",
    )
    dispatch_ids: Count = Field(16, le=256, description="Most job ids in one message.")
    dispatch_again_s: Seconds = Field(
        60.0, description="A dispatched job that no worker holds is dispatched again after this."
    )
    dispatch_lost_s: Seconds = Field(
        3.0, description="The same while the broker's queue is empty: then its message was lost."
    )
    drain_seconds: Seconds = Field(
        150.0, description="How long a stopping worker lets its calls and uploads end."
    )

    # Attempts and calls
    max_attempts: Count = Field(8, description="Claims of a job that were worth one, at most.")
    max_calls_per_job: Count = Field(
        3, description="Calls that cost money, or may have, spent on one job at most."
    )
    max_calls_per_day: int | None = Field(
        None, ge=1, description="Calls the fleet sends in a day (UTC) at most."
    )
    max_useless_calls: int = Field(
        1, ge=0, le=100, description="Retries of a job after paid answers without a usable image."
    )
    max_unknown_calls: int = Field(
        1,
        ge=0,
        le=100,
        description="Retries of a job after calls of unknown outcome; 0 fails the job instead.",
    )
    backoff_base_s: Seconds = Field(1.0, description="First wait before a failed call is repeated.")
    backoff_max_s: Seconds = Field(120.0, description="Longest wait before one is repeated.")
    hold_s: Seconds = Field(
        15.0,
        description="How long no call starts after the API refused the key, or a server that is "
        "not the API answered.",
    )

    # The breaker
    breaker_failures: Count = Field(
        20, description="Calls of one process that fail in a row before it pauses."
    )
    blocked_failures: Count = Field(
        3, description="The same for calls that the API refused because of the key or account."
    )
    breaker_window_s: Seconds | None = Field(
        None,
        description="After a worker's first failure the fleet is paused if no other worker "
        "succeeds for this long; longer than your calls usually take. By default 20, or "
        "`DARKROOM_HOLD_S` if that is more.",
    )
    probe_first_s: Seconds = Field(
        10.0, description="From a pause's first probe, a real job, to its second; then doubled."
    )
    probe_most_s: Seconds = Field(300.0, description="Longest wait between two probes.")
    fleet_look_s: Seconds = Field(
        1.0, le=60, description="How often a worker looks whether the fleet is paused or slowed."
    )
