"""Check the certificate files that settings name, before anything connects.

A missing file would otherwise look like an unavailable server, and the connection would be retried
indefinitely.
"""

from darkroom.errors import UserError
from darkroom.settings import variable
from darkroom.settings.addresses import Tls

__all__ = ["check_tls_files"]


def check_tls_files(tls: Tls | None, name: str) -> None:
    """Load the files of certificates and keys.

    Args:
        tls: the options that name the files; None without TLS.
        name: the setting that holds the address they belong to.
    """
    if tls is None:
        return
    try:
        tls.check_files()
    except OSError as error:  # includes ssl.SSLError
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        line = f"{variable(name)}: no certificates or key can be read from {files} ({error})"
        raise UserError(line) from error
