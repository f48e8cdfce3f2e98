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
        description="Longest an attempt may take in all, from the name's lookup to the answer.",
    )
    webhook_allow: Receivers = Field(
        (),
        description="Receivers in your network, with commas: networks, addresses, full host names. "
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
    on_end_queues: Names = Field(
        (),
        description="Queues that `on_end` may have a task sent to, with commas; by default any "
        "that is neither Darkroom's nor of Celery's bookkeeping.",
    )
    webhook_log_days: float = Field(
        30.0,
        gt=0,
        le=3650,
        description="How long a delivery and its log are kept after its end; then it is deleted.",
    )
