"""The settings themselves: one table of fields, and what must hold between them.

Each field says what it means and what its special values are: `docs/settings.md` is made from these
sentences.
"""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from darkroom.settings.kinds import (
    REDIS,
    BrokerUrl,
    Bytes,
    Count,
    Names,
    Receivers,
    RedisUrl,
    Seconds,
)
from darkroom.settings.secret_files import SecretFiles
from darkroom.settings.variable import PREFIX

__all__ = ["REAL_API_URL", "Settings"]

REAL_API_URL = "https://playground.com/api/models/external/v1"


class Settings(BaseSettings):
    """One validated, frozen set of settings for a process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    # The paid API
    playground_api_key: SecretStr | None = Field(
        None, description="Your key for the image API, sent as a Bearer token."
    )
    playground_url: str = Field(REAL_API_URL, description="Where the image API answers.")
    extra_models: Names = Field(
        (), description="Model names the API has learnt since its page was written, with commas."
    )
    playground_proxy_url: SecretStr | None = Field(
        None, description="HTTP proxy for calls to the API; its address may hold a password."
    )
    playground_ca_bundle: Path | None = Field(
        None, description="File of CA certificates to trust for the API instead of the usual ones."
    )
    connect_timeout_s: Seconds = Field(5.0, description="Longest wait for a connection to the API.")
    read_timeout_s: Seconds = Field(
        90.0, description="Longest silence of the API while a call is open."
    )
    call_deadline_s: Seconds = Field(
        120.0, description="Longest a call may take in all, however slowly its answer trickles."
    )
    max_answer_bytes: Bytes = Field(
        64_000_000, description="An answer larger than this is not read to its end."
    )

    # What producers may ask for
    max_side_px: int | None = Field(
        None, ge=1, description="Darkroom's own bound on width and height; none by default."
    )
    max_prompt_chars: int | None = Field(
        None, ge=1, description="Darkroom's own bound on a prompt's length; none by default."
    )
    max_init_image_bytes: Bytes = Field(
        20_000_000, description="Largest `init_image`, decoded, that a producer may hand in."
    )

    # The fleet
    namespace: str = Field(
        "darkroom",
        pattern=r"^[a-z][a-z0-9_-]{0,30}$",
        description="Prefix of queues, Redis keys and object keys: one per fleet.",
    )
    broker_url: BrokerUrl = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Celery's broker: Redis or RabbitMQ."
    )
    redis_url: RedisUrl | None = Field(
        None,
        description="Redis that the fleet's call limits are kept in; the broker's, where that is "
        "Redis. Without one each worker keeps to its part: the limit divided by living workers.",
    )
    concurrency: Count = Field(256, description="Calls in flight per worker process.")
    max_calls_per_second: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Calls the whole fleet starts in a second at most; none by default.",
    )
    max_calls_in_flight: Count | None = Field(
        None,
        description="Calls the whole fleet has open at once at most; none by default. Without "
        "Redis, not fewer than there are workers: one whose part is 0 calls nothing.",
    )
    celery_threads: Count = Field(
        4, le=64, description="Threads of Celery's own pool, which only takes messages in."
    )
    submit_again_s: Seconds = Field(
        60.0,
        description="On Redis, a submit message whose worker died comes back after this.",
    )
    upload_threads: Count = Field(
        24,
        description="Images being put into storage at once: images a second, times the seconds "
        "that a put takes and 0.1 more for its row.",
    )
    reading_bytes: Bytes = Field(
        80_000_000,
        description="Bytes of answers being read, and of pictures on their way to the disk, in a "
        "process at once.",
    )
    decode_threads: Count | None = Field(
        None, description="Answers being decoded at once; twice the number of cores by default."
    )
    cpu_affinity: Literal["auto", "off"] = Field(
        "auto",
        description="`auto`: a worker's threads share one core, which costs less; `off`: the "
        "kernel places them.",
    )
    publish_timeout_s: Seconds = Field(
        1.0, le=10, description="Longest wait for the broker when a message is sent."
    )
    publish_pause_s: Seconds = Field(
        5.0, description="No message is tried for this long after the broker failed."
    )

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
        60.0, description="A dispatched job that nobody holds is dispatched again after this."
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
        None, ge=1, description="Calls the fleet sends in a day (UTC) at most; none by default."
    )
    max_useless_calls: int = Field(
        1, ge=0, le=100, description="Paid answers without a usable image that are tried again."
    )
    max_unknown_calls: int = Field(
        1,
        ge=0,
        le=100,
        description="Calls whose outcome is unknown that are tried again; 0 fails the job instead.",
    )
    backoff_base_s: Seconds = Field(1.0, description="First wait before a failed call is repeated.")
    backoff_max_s: Seconds = Field(120.0, description="Longest wait before one is repeated.")
    hold_s: Seconds = Field(
        15.0,
        description="How long no call starts after the API refused our key, or was no API.",
    )

    # The breaker
    breaker_failures: Count = Field(
        20, description="Calls of one process that fail in a row before the fleet is paused."
    )
    blocked_failures: Count = Field(
        3, description="The same for calls that the API refused for our key or account."
    )
    probe_first_s: Seconds = Field(
        10.0, description="From a pause's first probe, a real job, to its second; then doubled."
    )
    probe_most_s: Seconds = Field(300.0, description="Longest wait between two probes.")
    fleet_look_s: Seconds = Field(
        1.0, le=60, description="How often a worker looks whether the fleet is paused or slowed."
    )

    # The results table
    database_url: SecretStr | None = Field(
        None,
        description="SQLAlchemy URL, required: `postgresql+psycopg://…` in production, "
        "`sqlite:////path/darkroom.db` on one machine.",
    )
    database_connections: int = Field(
        8,
        ge=2,
        le=64,
        description="Connections to the database per process, the heartbeat's among them.",
    )

    # The object store
    s3_bucket: str | None = Field(None, description="The bucket, required; it must exist already.")
    s3_endpoint_url: str | None = Field(
        None, description="An S3-compatible server; AWS where it is not set."
    )
    s3_region: str | None = Field(None, description="Region; boto3's usual chain where not set.")
    s3_public_url: str | None = Field(
        None,
        description="Address that signed links carry, where readers reach the store by another.",
    )
    s3_addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Bucket in the path or in the host name."
    )
    s3_checksums: Literal["when_required", "when_supported"] = Field(
        "when_required",
        description="When boto3 adds and checks checksums; some stores refuse them.",
    )
    s3_put_args: dict[str, str] = Field(
        {}, description="More arguments of every put, as JSON: KMS key, tags, storage class."
    )
    s3_key_prefix: str = Field(
        "", pattern=r"^([A-Za-z0-9_.-]+/)*$", description="Folder before every key; ends with `/`."
    )
    s3_url_expires_s: int = Field(
        3600, ge=1, le=604_800, description="How long a signed link works (S3's own limit: 7 days)."
    )

    # The spool
    spool_dir: Path = Field(
        Path("darkroom-spool"), description="Folder where a paid image rests until storage has it."
    )
    spool_max_bytes: Bytes | None = Field(
        None,
        description="Calls start only while images at rest, in flight and about to be called for, "
        "of 4 MB each, fit this; by default 4 GB, or twice what all calls in flight need if that "
        "is more.",
    )
    spool_fsync: bool = Field(
        default=True,
        description="Force each image to the disk; without, a power cut may lose the last ones.",
    )
    spool_grace_s: Seconds = Field(
        300.0, description="How long a dead worker's spooled image is waited for before it is lost."
    )

    # The gateway
    gateway_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that `darkroom gateway` listens on. While there is no API key it is "
        "this machine's own or nothing: `darkroom keys create` makes one.",
    )
    gateway_port: int = Field(8080, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    gateway_max_body_bytes: Bytes = Field(
        32_000_000,
        description="Largest body of one job, unpacked; an `init_image` takes 4/3 of its size.",
    )
    gateway_max_batch_bytes: Bytes = Field(
        2_000_000_000,
        description="Largest batch, unpacked; while it is checked it lies in the folder for "
        "temporary files, with its good lines beside it.",
    )
    gateway_body_timeout_s: Seconds = Field(
        60.0, description="How long a client may take to send the body of one job."
    )
    gateway_threads: Count = Field(
        32, le=1000, description="Requests at work on storage at once in a gateway process."
    )
    hooks_file: Path | None = Field(
        None,
        description="TOML file of the webhooks that the gateway takes in; `darkroom hooks check` "
        "looks it over.",
    )

    # Webhooks out
    webhook_threads: int = Field(
        32, ge=2, le=256, description="Webhooks that a worker process sends at once."
    )
    webhook_timeout_s: float = Field(
        20.0,
        ge=1,
        le=60,
        description="Longest an attempt may take in all, from the name's lookup to the answer.",
    )
    webhook_allow: Receivers = Field(
        (),
        description="Receivers in the house, with commas: networks, addresses, whole host names. "
        "All others must be on the public Internet.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs for owners who have no secret of their own; `whsec_` and base64. "
        "Without either, nothing is sent.",
    )
    webhook_ca_bundle: Path | None = Field(
        None, description="File of CA certificates to trust for receivers instead of the usual."
    )
    webhook_log_days: float = Field(
        30.0,
        gt=0,
        le=3650,
        description="How long a delivery and its log are kept after its end; then it is deleted.",
    )

    # Pictures, logs
    embed_recipe: Literal["id", "full", "off"] = Field(
        "id", description="What a PNG's `parameters` chunk says: job id and seed, all, or nothing."
    )
    simulated: bool = Field(
        default=False,
        description="Marks rows and PNGs as made by the simulator; the local stack sets it.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        "INFO", description="Least level that is logged."
    )
    log_format: Literal["text", "json"] = Field("text", description="Lines for people, or JSON.")

    @property
    def budget_redis_url(self) -> str | None:
        """The Redis of the call budget, or None where there is none."""
        address = (self.redis_url or self.broker_url).get_secret_value()
        return address if address.startswith(REDIS) else None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse settings that contradict each other, by name."""
        rules = (
            (
                self.drain_seconds < self.call_deadline_s,
                "DARKROOM_DRAIN_SECONDS must not be shorter than DARKROOM_CALL_DEADLINE_S",
            ),
            (
                self.lease_s < 2 * self.heartbeat_s,
                "DARKROOM_LEASE_S must not be shorter than two of DARKROOM_HEARTBEAT_S",
            ),
            (
                self.read_timeout_s > self.call_deadline_s,
                "DARKROOM_READ_TIMEOUT_S must not be longer than DARKROOM_CALL_DEADLINE_S",
            ),
            (
                self.backoff_base_s > self.backoff_max_s,
                "DARKROOM_BACKOFF_BASE_S must not be longer than DARKROOM_BACKOFF_MAX_S",
            ),
        )
        broken = [sentence for is_broken, sentence in rules if is_broken]
        if broken:
            raise ValueError("; ".join(broken))
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - ours reads *_FILE
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment first, then `*_FILE`, then `.env`."""
        return (init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings)
