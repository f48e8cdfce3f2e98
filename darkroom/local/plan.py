"""Turn settings into a plan for one machine: named services are used, the others are started.

`darkroom up` and `darkroom demo` share it. The stack itself takes plain values and reads no
settings.
"""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from pydantic import SecretStr

from darkroom.atomic_file import write_file
from darkroom.errors import UserError
from darkroom.settings import Settings, load_settings
from darkroom.stack import SimulatorOptions, StackPlan
from storage.db.database import Database
from storage.migrations.migrate import migrate

__all__ = ["database_url", "migrate_table", "plan_from", "settings_of", "write_env_file"]

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

    If neither an API key nor an API address is set, the simulator answers.

    Args:
        settings: as the environment gives them.
        data_dir: the one folder for data and logs.
        workers: number of worker processes.
        ports: fixed ports by service; free ones otherwise.
        simulator: how the simulator behaves, if it is started.
        with_gateway: whether jobs can be submitted over HTTP; at `DARKROOM_GATEWAY_PORT` if it is
            set and `ports` has none.
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
    """Migrate the table that the stack selected to this release's schema.

    Raises:
        StorageError: it cannot be reached or migrated.
    """
    database = Database(database_url(variables), pool_size=1)
    try:
        migrate(database)
    finally:
        database.close()


def settings_of(variables: Mapping[str, str]) -> Settings:
    """Return the settings as a process inside the stack reads them; sets its AWS keys as well."""
    os.environ.update(variables)
    return load_settings()


def write_env_file(data_dir: Path, variables: Mapping[str, str]) -> Path:
    """Write the variables that other terminals need, for `. FILE`; readable by this user only.

    Raises:
        UserError: the file cannot be written.
    """
    path = data_dir / ENV_FILE
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())]
    try:
        write_file(path, "".join(lines).encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def database_url(variables: Mapping[str, str]) -> str:
    """Return the URL of the stack's table: its own, or the one that the settings name."""
    return variables.get("DARKROOM_DATABASE_URL") or str(_secret(load_settings().database_url))


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
