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
        description="CA certificates for `rediss://`, instead of the machine's.",
    )
    redis_tls_verify: bool = Field(
        default=True,
        description="Whether a `rediss://` server must show a valid certificate.",
    )
    rabbitmq_ca_file: Path | None = Field(
        None,
        description="CA certificates for `amqps://`, instead of the machine's.",
    )
    rabbitmq_tls_verify: bool = Field(default=True, description="The same for `amqps://`.")
