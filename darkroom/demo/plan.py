"""Plan the demo's stack: all of it in one folder, whatever the user's settings name.

A demo must never write into a real bucket or table because the current folder contains an `.env`.
So it ignores every setting except, with `--real`, those of the API.
"""

import os
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from darkroom.errors import UserError
from darkroom.settings import PREFIX, load_settings, variable
from darkroom.stack import SimulatorOptions, StackPlan

__all__ = ["demo_plan", "leave_settings_behind"]

#: Seconds of a call: pictures arrive one after the other, without a long wait.
LATENCY_RANGE_S: Final = (1.0, 6.0)

#: All of the demo's calls at once, with a reserve.
CONCURRENCY: Final = 32

_ABOUT_THE_API: Final = (
    "playground_api_key",
    "playground_url",
    "playground_proxy_url",
    "playground_ca_bundle",
    "extra_models",
    "connect_timeout_s",
    "read_timeout_s",
    "call_deadline_s",
    "drain_seconds",
)


def demo_plan(data_dir: Path, *, real: bool) -> StackPlan:
    """Plan a stack that uses nothing outside its folder, except perhaps the real API.

    Raises:
        UserError: the real API is requested, and no key is set or the settings are a simulator's.
    """
    settings = load_settings() if real else None
    if settings is not None and settings.playground_api_key is None:
        raise UserError(
            "--real needs DARKROOM_PLAYGROUND_API_KEY, your key for the image API; "
            "without --real the simulator answers, at no cost"
        )
    if settings is not None and settings.simulated:
        raise UserError(
            "--real, but DARKROOM_SIMULATED says that the simulator answers: these settings are a "
            "local stack's; start from a shell that has not read its env file"
        )
    environment = {n: v for n, v in os.environ.items() if not n.startswith(PREFIX)}
    if settings is not None:
        given = {name: getattr(settings, name) for name in _ABOUT_THE_API}
        environment |= {variable(n): _text(v) for n, v in given.items() if v is not None}
    return StackPlan(
        data_dir=data_dir,
        environment=environment,
        concurrency=CONCURRENCY,
        playground_url=None if settings is None else settings.playground_url,
        simulator=SimulatorOptions(latency_range_s=LATENCY_RANGE_S),
        drain_s=150.0 if settings is None else settings.drain_seconds,
    )


def leave_settings_behind(data_dir: Path) -> None:
    """Change into the demo's folder, away from any `.env`, and drop the environment's settings.

    Raises:
        UserError: the folder can't be created or entered.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.chdir(data_dir)
    except OSError as error:
        raise UserError(
            f"cannot use {data_dir}: {error.strerror}; name another with --data-dir"
        ) from error
    for name in [name for name in os.environ if name.startswith((PREFIX, "AWS_"))]:
        del os.environ[name]


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return ",".join(value) if isinstance(value, tuple) else str(value)
