"""From settings to a system on one machine: what is named is used, the rest is started.

Shared by `darkroom up` and `darkroom demo`. The stack itself takes plain values and reads no
settings.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from darkroom.errors import UserError
from darkroom.settings import Settings, load_settings
from darkroom.stack import SimulatorOptions, StackPlan
from storage.db.database import Database
from storage.migrations.migrate import migrate

__all__ = [
    "ENV_FILE",
    "database_url",
    "migrate_table",
    "plan_from",
    "settings_of",
    "write_env_file",
]

ENV_FILE = "env"


def plan_from(
    settings: Settings,
    data_dir: Path,
    *,
    workers: int = 1,
    ports: Mapping[str, int] | None = None,
    simulator: SimulatorOptions | None = None,
    with_gateway: bool = False,
) -> StackPlan:
    """Plan a machine: services that the settings name are used instead of started.

    The simulator answers where neither an API key nor an API's address is set.

    Args:
        settings: as the environment gives them.
        data_dir: the one folder for data and logs.
        workers: worker processes.
        ports: fixed ports by service; free ones otherwise.
        simulator: how the simulator behaves, where it is started.
        with_gateway: whether jobs can be handed in over HTTP; at `DARKROOM_GATEWAY_PORT` where it
            is set and `ports` says nothing.
    """
    named = settings.model_fields_set
    usual = {"gateway": settings.gateway_port} if "gateway_port" in named else {}
    has_api = {"playground_api_key", "playground_url"} & named
    return StackPlan(
        data_dir=data_dir,
        environment=dict(os.environ),
        workers=workers,
        broker_url=_secret(settings.broker_url) if "broker_url" in named else None,
        database_url=_secret(settings.database_url),
        s3_bucket=settings.s3_bucket,
        s3_endpoint_url=settings.s3_endpoint_url,
        playground_url=settings.playground_url if has_api else None,
        ports={**usual, **(ports or {})},
        simulator=simulator or SimulatorOptions(),
        drain_s=settings.drain_seconds,
        with_gateway=with_gateway,
    )


def migrate_table(variables: Mapping[str, str]) -> None:
    """Bring the table that the stack settled on to this release's schema.

    Raises:
        StorageError: it cannot be reached or migrated.
    """
    database = Database(database_url(variables), pool_size=1)
    try:
        migrate(database)
    finally:
        database.close()


def settings_of(variables: Mapping[str, str]) -> Settings:
    """The settings as a process inside the stack sees them; puts its AWS keys in place as well."""
    os.environ.update(variables)
    return load_settings()


def write_env_file(data_dir: Path, variables: Mapping[str, str]) -> Path:
    """Write what other terminals need, for `. FILE`; readable by this user only.

    Raises:
        UserError: the file cannot be written.
    """
    path = data_dir / ENV_FILE
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)  # it may be there already
            file.writelines(lines)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def database_url(variables: Mapping[str, str]) -> str:
    """The table that the stack settled on: its own, or the one that the settings name."""
    return variables.get("DARKROOM_DATABASE_URL") or str(_secret(load_settings().database_url))


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
