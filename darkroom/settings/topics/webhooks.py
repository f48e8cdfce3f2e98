"""Settings of outgoing webhooks."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

from darkroom.settings.kinds import Names, Receivers

__all__ = ["WebhookSettings"]


class WebhookSettings(BaseSettings):
    """Settings of outgoing webhooks."""

    # Webhooks out
    webhook_threads: int = Field(
        32, ge=2, le=256, description="Webhooks that a worker process sends at once."
    )
    webhook_timeout_s: float = Field(
        20.0,
        ge=1,
        le=60,
        description="Longest an attempt may take in all, the name's lookup included.",
    )
    webhook_allow: Receivers = Field(
        (),
        description="Receivers in your network: networks, addresses, full host names. All others "
        "must be on the public Internet.",
    )
    webhook_secret: SecretStr | None = Field(
        None,
        description="Signs for owners without a secret of their own; `whsec_` and base64.",
    )
    webhook_ca_bundle: Path | None = Field(
        None, description="CA certificates for receivers, instead of the usual ones."
    )
    on_end_queues: Names = Field(
        (),
        description="Queues that `on_end` may name; by default any that is neither Darkroom's nor "
        "of Celery's bookkeeping.",
    )
    webhook_log_days: float = Field(
        30.0,
        gt=0,
        le=3650,
        description="How long a delivery and its log are kept after its end.",
    )
