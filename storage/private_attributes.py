"""List the private attributes of botocore and Alembic that Darkroom uses.

They are no interface: a new release may change them without notice. `tests/libraries/` compares
this list with the installed release and with the code. If that test fails, adapt the code that it
names, then this list, then the library's bound in `pyproject.toml`.

- The signed put uses the connections of a boto3 client, so that proxy, authorities and timeouts are
  the same. botocore has no public access to them.
- The client's connections get a response class that skips interim responses.
- Alembic's own command finds the steps between two revisions with `_upgrade_revs`.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["PRIVATE_ATTRIBUTES"]

#: By path: the parameters of a method, or None for what is not a method.
PRIVATE_ATTRIBUTES: Final[Mapping[str, str | None]] = {
    "botocore.client:BaseClient._endpoint": None,
    "botocore.httpsession:URLLib3Session._get_connection_manager": "self, url, proxy_url",
    "botocore.httpsession:URLLib3Session._get_request_target": "self, url, proxy_url",
    "botocore.httpsession:URLLib3Session._pool_classes_by_scheme": None,
    "botocore.httpsession:URLLib3Session._proxy_config": None,
    "botocore.httpsession:URLLib3Session._setup_ssl_cert": "self, conn, url, verify",
    "botocore.httpsession:URLLib3Session._verify": None,
    "alembic.script:ScriptDirectory._upgrade_revs": "self, destination, current_rev",
}
