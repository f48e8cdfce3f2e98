"""Generate `docs/settings.md` from the settings, so that the two cannot differ.

`python -m darkroom.settings.page > docs/settings.md`
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from darkroom.settings import PREFIX, Settings, variable
from darkroom.settings.secret_files import is_secret

__all__ = ["settings_page"]

#: The title of each group, by the first setting of it.
GROUPS: Final[Mapping[str, str]] = {
    "playground_api_key": "The paid API",
    "max_side_px": "What producers may ask for",
    "namespace": "The fleet",
    "redis_ca_file": "Redis and RabbitMQ over TLS",
    "heartbeat_s": "Leases and dispatch",
    "max_attempts": "Attempts and calls",
    "database_url": "The results table",
    "s3_bucket": "The object store",
    "spool_dir": "The spool",
    "gateway_host": "The gateway",
    "webhook_threads": "Webhooks out",
    "embed_recipe": "Pictures, logs",
}

#: The usual upper bound of a number, in seconds: a day.
_DAY_S: Final = 86_400

HEAD: Final = f"""\
# Settings

Made from `darkroom/settings/` by `python -m darkroom.settings.page`; not written by hand.

Every setting is an environment variable that begins with `{PREFIX}`, or a line of a file `.env` in
the folder a command is started from; the environment wins. All are checked when a command starts:
one line names every variable that is wrong. `darkroom doctor` says which are misspelt, and tries
what they lead to. A number is above 0 and at most {_DAY_S}, unless its line says otherwise.

A *secret* is never shown. It may also come from a file: `…_FILE` names it.

Keys of the object store are not settings of Darkroom: boto3 finds them as usual
(`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, `~/.aws`, the machine's role).
"""

_TYPES: Final[Mapping[Any, str]] = {
    bool: "true or false",
    dict: "JSON object of texts",
    float: "number",
    int: "whole number",
    Path: "path",
    SecretStr: "text, *secret*",
    str: "text",
    tuple: "names, with commas",
}


def settings_page() -> str:
    """Return the whole page, as Markdown."""
    return HEAD + "".join(_parts())


def _parts() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            yield f"\n## {GROUPS[name]}\n\n"
            yield "| variable | what it is | default | meaning |\n|---|---|---|---|\n"
        cells = (_names(name, field), _kind(field), _default(field), _meaning(field))
        yield f"| {' | '.join(cells)} |\n"


def _names(name: str, field: FieldInfo) -> str:
    own = f"`{variable(name)}`"
    return f"{own}, `{variable(name)}_FILE`" if is_secret(field) else own


def _kind(field: FieldInfo) -> str:
    kind, bounds = _bare(field.annotation)
    if get_origin(kind) is Literal:
        return " or ".join(f"`{word}`" for word in get_args(kind))
    return _TYPES[get_origin(kind) or kind] + _range([*bounds, *field.metadata])


def _bare(annotation: Any) -> tuple[Any, list[Any]]:
    """Return a type without `| None` and `Annotated`, and the bounds it contained."""
    if get_origin(annotation) in {UnionType, Union}:
        annotation = next(part for part in get_args(annotation) if part is not type(None))
    if get_origin(annotation) is not Annotated:
        return annotation, []
    kind, *notes = get_args(annotation)
    return kind, [bound for note in notes for bound in getattr(note, "metadata", ())]


def _range(bounds: list[Any]) -> str:
    """Return the narrowest of all bounds, in words, without those that the head says."""
    least: list[Any] = [bound.ge for bound in bounds if isinstance(bound, Ge)]
    above: list[Any] = [bound.gt for bound in bounds if isinstance(bound, Gt)]
    most: list[Any] = [bound.le for bound in bounds if isinstance(bound, Le)]
    forms = [bound.pattern for bound in bounds if getattr(bound, "pattern", None)]
    span = f", {_text(max(least))} to {_text(min(most))}" if least and most else ""
    words = [
        span or "".join(f", at least {_text(max(least))}" for _ in least[:1]),
        *(f", above {_text(max(above))}" for _ in above[:1] if max(above) or not most),
        *(f", at most {_text(min(most))}" for _ in most[:1] if not (span or min(most) == _DAY_S)),
        *(f", of the form `{form}`" for form in forms),
    ]
    return "".join(words)


def _default(field: FieldInfo) -> str:
    default = field.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()  # a default is not a secret
    if default in (None, (), {}, ""):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    return f"`{_text(default)}`"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _meaning(field: FieldInfo) -> str:
    return (field.description or "").replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(settings_page())
