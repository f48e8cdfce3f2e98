"""Settings of the HTTP gateway."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Bytes, Count, Seconds

__all__ = ["GatewaySettings"]


class GatewaySettings(BaseSettings):
    """Settings of the HTTP gateway."""

    # The gateway
    gateway_host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address that `darkroom gateway` listens on; without API keys only this "
        "machine's own.",
    )
    gateway_port: int = Field(8080, ge=0, le=65_535, description="Its port; 0 takes a free one.")
    gateway_max_body_bytes: Bytes = Field(
        32_000_000,
        description="Largest body of one job, unpacked; an `init_image` takes 4/3 of its size.",
    )
    gateway_max_batch_bytes: Bytes = Field(
        2_000_000_000,
        description="Largest batch, unpacked.",
    )
    gateway_body_timeout_s: Seconds = Field(
        60.0, description="How long a client may take to send the body of one job."
    )
    gateway_threads: Count = Field(
        32, le=1000, description="Requests at work on storage at once in a gateway process."
    )
    gateway_processes: Count = Field(
        1,
        le=64,
        description="Processes of a gateway, on one port; on SQLite 1. Each has its own threads "
        "and database connections.",
    )
    hooks_file: Path | None = Field(
        None,
        description="TOML file of incoming webhooks; `darkroom hooks check` checks it.",
    )
