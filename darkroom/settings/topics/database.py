"""Settings of the results table's database."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings

__all__ = ["DatabaseSettings"]


class DatabaseSettings(BaseSettings):
    """Settings of the results table's database."""

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
