"""The files of certificates that settings name, looked at before anything connects.

A missing file would otherwise look like a server that is away, and be tried for ever.
"""

from darkroom.errors import UserError
from darkroom.settings import variable
from darkroom.settings.addresses import Tls

__all__ = ["check_tls_files"]


def check_tls_files(tls: Tls | None, name: str) -> None:
    """Load the files of certificates and keys.

    Args:
        tls: what names them; None where there is no TLS.
        name: the setting whose address they are for.

    Raises:
        UserError: one cannot be read.
    """
    if tls is None:
        return
    try:
        tls.check_files()
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(file for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
        line = f"{variable(name)}: no certificates or key can be read from {files} ({error})"
        raise UserError(line) from error
