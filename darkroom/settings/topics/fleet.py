"""Settings of the fleet: broker, limits on calls, threads of a worker process."""

from typing import Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import BrokerUrl, Bytes, Count, RedisUrl, Seconds

__all__ = ["FleetSettings"]


class FleetSettings(BaseSettings):
    """Settings of the fleet: broker, limits on calls, threads of a worker process."""

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
        description="Redis for the fleet's call limits and notices of ended jobs; by default the "
        "broker's, if that is Redis. Without one, limits are divided by living workers.",
    )
    concurrency: Count = Field(256, description="Calls in flight per worker process.")
    max_calls_per_second: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Calls the whole fleet starts in a second at most.",
    )
    max_calls_in_flight: Count | None = Field(
        None,
        description="Calls the whole fleet has open at once at most. Without Redis, not fewer "
        "than there are workers: one whose part is 0 calls nothing.",
    )
    celery_threads: Count = Field(
        4, le=64, description="Threads of Celery's own pool, which only receives messages."
    )
    celery_remote_control: bool = Field(
        False,  # noqa: FBT003 - pydantic's signature
        description="Whether workers obey Celery's `inspect` and `control`: any client of the "
        "broker can then stop them.",
    )
    submit_again_s: Seconds = Field(
        60.0,
        description="On Redis, a submit message whose worker died comes back after this.",
    )
    upload_threads: Count = Field(
        24,
        description="Images being put at once: images a second, times the seconds that a put "
        "takes and 0.1 more for its row.",
    )
    reading_bytes: Bytes = Field(
        80_000_000,
        description="Bytes of answers being read, and of images on their way to the disk, in a "
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
