"""How a server's certificate is verified, and the options for it in each library."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

__all__ = ["TLS_OPTIONS", "Tls", "TlsDefaults"]

#: The query parameters of an address that are read here; both libraries use these names.
TLS_OPTIONS: Final = (
    "ssl_cert_reqs",
    "ssl_check_hostname",
    "ssl_ca_certs",
    "ssl_certfile",
    "ssl_keyfile",
)

#: Celery's spelling and redis-py's. For a client, Python's `optional` is the same as `required`.
_VERIFIES: Final[Mapping[str, bool]] = {
    "cert_required": True,
    "required": True,
    "cert_optional": True,
    "optional": True,
    "cert_none": False,
    "none": False,
}

_YES_OR_NO: Final[Mapping[str, bool]] = {
    "true": True,
    "yes": True,
    "1": True,
    "false": False,
    "no": False,
    "0": False,
}


@dataclass(frozen=True, slots=True)
class TlsDefaults:
    """The settings for all addresses of one kind.

    Attributes:
        ca_file: certificates to trust instead of the machine's.
        verify: whether to verify; an address may say `none` for itself.
        prefix: the prefix of these settings' names.
    """

    ca_file: Path | None = None
    verify: bool = True
    prefix: str = "DARKROOM_REDIS"


@dataclass(frozen=True, slots=True)
class Tls:
    """How a server's certificate is verified.

    Attributes:
        verify: whether the certificate must lead to a trusted authority.
        check_hostname: whether the certificate must also be for the host of the address.
        ca_file: certificates to trust instead of the machine's.
        cert_file: the client's certificate, for a server that requires one.
        key_file: its key, if it is not in `cert_file`.
    """

    verify: bool = True
    check_hostname: bool = True
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None

    @classmethod
    def read(cls, given: Mapping[str, str], defaults: TlsDefaults) -> Self:
        """Read the TLS options of an address, together with the settings for addresses of its kind.

        Args:
            given: the query parameters, by name.
            defaults: the settings.

        Raises:
            ValueError: an option is invalid, or contradicts a setting.
        """
        asked = _choice("ssl_cert_reqs", given, _VERIFIES)
        if asked and not defaults.verify:
            raise ValueError(
                f"ssl_cert_reqs={given['ssl_cert_reqs']} contradicts "
                f"{defaults.prefix}_TLS_VERIFY=false"
            )
        verifies = defaults.verify if asked is None else asked
        checks = _choice("ssl_check_hostname", given, _YES_OR_NO)
        named = given.get("ssl_ca_certs")
        ca = None if defaults.ca_file is None else str(defaults.ca_file)
        if named and ca and named != ca:
            raise ValueError(f"ssl_ca_certs names another file than {defaults.prefix}_CA_FILE")
        return cls(
            verify=verifies,
            check_hostname=verifies and checks is not False,
            ca_file=named or ca,
            cert_file=given.get("ssl_certfile"),
            key_file=given.get("ssl_keyfile"),
        )

    def check_files(self) -> None:
        """Load every file that is named.

        Raises:
            OSError: one cannot be read, or is not a certificate or key (ssl.SSLError is an
                OSError).
        """
        context = ssl.create_default_context()
        if self.ca_file:
            context.load_verify_locations(self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)

    @property
    def for_redis(self) -> dict[str, Any]:
        """Return the options of redis-py, which Kombu passes on to it unchanged."""
        return {
            "ssl_cert_reqs": "required" if self.verify else "none",
            "ssl_check_hostname": self.check_hostname,
            "ssl_ca_certs": self.ca_file,
            "ssl_certfile": self.cert_file,
            "ssl_keyfile": self.key_file,
        }

    @property
    def for_amqp(self) -> dict[str, Any]:
        """Return the options of amqp; a `server_hostname` of None means the address's host."""
        options: dict[str, Any] = {
            "cert_reqs": ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE,
            "ca_certs": self.ca_file,
            "certfile": self.cert_file,
            "keyfile": self.key_file,
        }
        return options | ({"server_hostname": None} if self.check_hostname else {})


def _choice(name: str, given: Mapping[str, str], choices: Mapping[str, bool]) -> bool | None:
    if name not in given:
        return None
    try:
        return choices[given[name].lower()]
    except KeyError:
        raise ValueError(f"{name} is one of {', '.join(choices)}") from None
