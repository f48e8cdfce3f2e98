"""All settings as one object, and the rules between them.

The fields are in `topics/`, a file for each topic.
"""

from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from darkroom.settings.addresses import BrokerAddress, RedisAddress, TlsDefaults
from darkroom.settings.database_limits import StatementLimits, statement_limits
from darkroom.settings.kinds import REDIS
from darkroom.settings.secret_files import SecretFiles
from darkroom.settings.topics.api import REAL_API_URL, ApiSettings
from darkroom.settings.topics.database import DatabaseSettings
from darkroom.settings.topics.fleet import FleetSettings
from darkroom.settings.topics.gateway import GatewaySettings
from darkroom.settings.topics.jobs import JobSettings
from darkroom.settings.topics.objects import ObjectSettings
from darkroom.settings.topics.output import OutputSettings
from darkroom.settings.topics.tls import TlsSettings
from darkroom.settings.topics.webhooks import WebhookSettings
from darkroom.settings.variable import PREFIX, variable

__all__ = ["REAL_API_URL", "Settings"]

#: Longer than nearly all of the API's calls, which take 5 to 15 s.
LEAST_EVIDENCE_WINDOW_S = 20.0


# pydantic orders the fields of several bases from the last base to the first.
class Settings(
    OutputSettings,
    WebhookSettings,
    GatewaySettings,
    ObjectSettings,
    DatabaseSettings,
    JobSettings,
    TlsSettings,
    FleetSettings,
    ApiSettings,
):
    """One validated, frozen set of settings for a process."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_file=".env", frozen=True, extra="ignore", env_ignore_empty=True
    )

    @property
    def broker(self) -> BrokerAddress:
        """Return the broker's address, parsed once for all libraries.

        Raises:
            ValueError: it is invalid.
        """
        url = self.broker_url.get_secret_value()
        if url.startswith(REDIS):
            return BrokerAddress.of_redis(self._read_redis(url))
        defaults = TlsDefaults(self.rabbitmq_ca_file, self.rabbitmq_tls_verify, f"{PREFIX}RABBITMQ")
        return BrokerAddress.of_rabbitmq(url, defaults)

    @property
    def limits_redis(self) -> RedisAddress | None:
        """Return the address of the Redis that holds the limits, or None without one.

        Raises:
            ValueError: its address is invalid.
        """
        url = (self.redis_url or self.broker_url).get_secret_value()
        return self._read_redis(url) if url.startswith(REDIS) else None

    def _read_redis(self, url: str) -> RedisAddress:
        defaults = TlsDefaults(self.redis_ca_file, self.redis_tls_verify, f"{PREFIX}REDIS")
        return RedisAddress.read(url, defaults)

    @model_validator(mode="after")
    def _addresses_can_be_read(self) -> Self:
        """Refuse an address that has no single meaning."""
        for name in ("broker_url", "redis_url"):
            try:
                _ = self.broker if name == "broker_url" else self.limits_redis
            except ValueError as error:
                raise ValueError(f"{variable(name)}: {error}") from None
        return self

    @property
    def evidence_window_s(self) -> float:
        """Return how long other workers have to succeed before the fleet is paused."""
        return self.breaker_window_s or max(LEAST_EVIDENCE_WINDOW_S, self.hold_s)

    @property
    def statement_limits(self) -> StatementLimits:
        """Return the limits on database statements; those not set are derived from the lease."""
        return statement_limits(
            lock_s=self.database_lock_timeout_s,
            statement_s=self.database_statement_timeout_s,
            deadline_s=self.database_deadline_s,
            lease_s=self.lease_s,
            heartbeat_s=self.heartbeat_s,
        )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        """Refuse settings that contradict each other, and name them."""
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
        if not broken:  # limits derived from an impossible lease would contradict it, too
            lease_s, heartbeat_s = self.lease_s, self.heartbeat_s
            limits = self.statement_limits
            broken = limits.contradictions(lease_s=lease_s, heartbeat_s=heartbeat_s)
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
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - SecretFiles reads *_FILE
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the environment first, then `*_FILE`, then `.env`."""
        return (init_settings, env_settings, SecretFiles(settings_cls), dotenv_settings)
