"""A certificate for this machine, created if a run uses TLS and deleted with it."""

import shutil
import subprocess
from pathlib import Path

from tests.services.absence import absent

__all__ = ["make_certificate"]

WORDS = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=bench"
NAMES = ["-addext", "subjectAltName=IP:127.0.0.1"]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Create a self-signed certificate and its key, as PEM files."""
    openssl = shutil.which("openssl")
    if openssl is None:
        absent("no openssl on the PATH")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([openssl, *WORDS.split(), *NAMES, *files], check=True, capture_output=True)
    return certificate, key
