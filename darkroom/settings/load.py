"""Reading the settings, with what is wrong told in one line and never a secret in it."""

from typing import Any

from pydantic import ValidationError
from pydantic_settings import SettingsError

from darkroom.errors import UserError
from darkroom.settings.model import Settings
from darkroom.settings.secret_files import is_secret
from darkroom.settings.variable import variable

__all__ = ["load_settings"]


def load_settings(**overrides: object) -> Settings:
    """Read and check every setting; `overrides` (by field name) win over the environment.

    Raises:
        UserError: one line that lists each faulty variable, what is wrong and never a secret.
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
    shown = "" if field is None or is_secret(field) else f"={str(detail['input'])[:60]!r}"
    return f"{variable(name)}{shown}: {detail['msg']}"
