"""Load the settings, and report what is wrong in one line without any secret."""

from typing import Any, Final

from pydantic import ValidationError
from pydantic_settings import SettingsError

from darkroom.errors import UserError
from darkroom.safe_address import without_login
from darkroom.settings.model import Settings
from darkroom.settings.secret_files import is_secret
from darkroom.settings.variable import variable

__all__ = ["load_settings"]

#: Arguments of a put, which may contain a customer's own encryption key.
_MAY_HOLD_KEYS: Final = frozenset({"s3_put_args"})


def load_settings(**overrides: object) -> Settings:
    """Read and validate every setting; `overrides` (by field name) win over the environment.

    Raises:
        UserError: one line that lists each faulty variable and its fault, without any secret.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]  # checked by pydantic itself
    except ValidationError as error:
        faults = "; ".join(_fault(detail) for detail in error.errors(include_url=False))
    except SettingsError as error:
        faults = f"{error} (is it JSON?)"
    raise UserError(f"settings: {faults}", exit_status=2)


def _fault(detail: Any) -> str:
    if not detail["loc"]:
        return str(detail["msg"]).removeprefix("Value error, ")
    name = str(detail["loc"][0])
    field = Settings.model_fields.get(name)
    is_hidden = field is None or is_secret(field) or name in _MAY_HOLD_KEYS
    shown = "" if is_hidden else f"={without_login(str(detail['input']))[:60]!r}"
    return f"{variable(name)}{shown}: {detail['msg']}"
