"""Read secrets from files, as container platforms provide them, so that `env` shows none."""

import os
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from darkroom.errors import UserError
from darkroom.settings.variable import variable

__all__ = ["SecretFiles", "is_secret"]


class SecretFiles(PydanticBaseSettingsSource):
    """Read secrets from files: `DARKROOM_X_FILE` names the file that contains `DARKROOM_X`."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the first line of the file that the environment names for a secret field."""
        path = os.environ.get(f"{variable(field_name)}_FILE")
        if not path or not is_secret(field):
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            raise UserError(f"{variable(field_name)}_FILE: cannot read {path}: {reason}") from error

    def __call__(self) -> dict[str, Any]:
        """Return the contents of the named files, by field."""
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def is_secret(field: FieldInfo) -> bool:
    """Return whether a setting is never shown and may come from a file."""
    return "SecretStr" in str(field.annotation)
