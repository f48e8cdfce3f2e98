"""Settings of connections over TLS to Redis and RabbitMQ."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

__all__ = ["TlsSettings"]


class TlsSettings(BaseSettings):
    """Settings of connections over TLS to Redis and RabbitMQ."""

    # Redis and RabbitMQ over TLS
    redis_ca_file: Path | None = Field(
        None,
        description="File of CA certificates to trust for `rediss://` instead of the machine's.",
    )
    redis_tls_verify: bool = Field(
        default=True,
        description="Whether a `rediss://` server must prove by a certificate that it is the one "
        "that is named; without, anyone on the way can read prompts.",
    )
    rabbitmq_ca_file: Path | None = Field(
        None,
        description="File of CA certificates to trust for `amqps://` instead of the machine's.",
    )
    rabbitmq_tls_verify: bool = Field(
        default=True, description="The same as `DARKROOM_REDIS_TLS_VERIFY`, for `amqps://`."
    )
