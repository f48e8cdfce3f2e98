"""The object store: `rclone serve s3` on loopback over a folder, with that folder's own keys."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from darkroom.stack.data.folder import DataFolder
from darkroom.stack.plan import StackPlan
from darkroom.stack.ports import LOOPBACK
from darkroom.stack.programs.binaries import rclone_binary
from darkroom.stack.programs.http import answers_http
from darkroom.stack.supervision.process import Program

BUCKET = "darkroom"
REGION = "us-east-1"

_KEYS_FILE = "s3-keys.json"


@dataclass(frozen=True, slots=True)
class S3Keys:
    """The key pair of a local endpoint."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def endpoint_url(port: int) -> str:
    """Return the address of the local endpoint."""
    return f"http://{LOOPBACK}:{port}"


def local_keys(folder: DataFolder) -> S3Keys:
    """Return the folder's key pair, created at its first use and readable by this user only.

    Raises:
        UserError: They can't be written.
    """
    saved = folder.remembered(_KEYS_FILE)
    match saved:
        case {"access_key_id": str(key_id), "secret_access_key": str(secret)}:
            return S3Keys(key_id, secret)
    keys = S3Keys(f"local{secrets.token_hex(8)}", secrets.token_hex(20))
    folder.remember(
        _KEYS_FILE,
        {"access_key_id": keys.access_key_id, "secret_access_key": keys.secret_access_key},
    )
    return keys


def s3(plan: StackPlan, folder: DataFolder, port: int, keys: S3Keys) -> Program:
    """Describe the endpoint; its bucket is a folder, created here.

    Raises:
        UserError: No binary is found, or the bucket's folder can't be created.
    """
    folder.subfolder(f"s3/{BUCKET}")
    return Program(
        name="s3",
        argv=[
            rclone_binary(plan.environment.get("PATH", "")),
            *("serve", "s3", folder.path / "s3", "--addr", f"{LOOPBACK}:{port}"),
        ],
        env=_rclone_environment(plan.environment, folder, keys),
        log=folder.log_file("s3"),
        cwd=folder.path,
        answers=lambda: answers_http(port, "/"),
    )


def _rclone_environment(
    inherited: Mapping[str, str], folder: DataFolder, keys: S3Keys
) -> dict[str, str]:
    """Ignore the user's rclone configuration, and pass the keys where `ps` does not show them."""
    clean = {name: value for name, value in inherited.items() if not name.startswith("RCLONE_")}
    return clean | {
        "RCLONE_AUTH_KEY": f'"{keys.access_key_id},{keys.secret_access_key}"',
        "RCLONE_CONFIG": str(folder.path / "no-rclone.conf"),
    }
