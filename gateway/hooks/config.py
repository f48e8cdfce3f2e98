"""Read the file of hooks, check all of it, and build the hooks.

Everything that can be known before a delivery arrives is checked here: the form of the file, the
secrets, every placeholder, and every constant of a request against the rules of the API. All faults
are reported together, each with its hook and field. None contains a value that may be a secret.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gateway.hooks.errors import HookFault, HooksFileFaulty
from gateway.hooks.hook import Hook
from gateway.hooks.mapping import has_placeholders, parse_template
from gateway.hooks.schemes import FileOfHooks, WrittenHook
from gateway.hooks.secrets import SecretFaulty, decoded, found_at
from playground.errors import Fault, RequestInvalid
from playground.request.request import RequestLimits, check_request
from tasks.submission.options import JobOptions, parse_options

__all__ = ["Hooks", "load_hooks", "request_faults"]

Hooks = Mapping[str, Hook]
"""Hooks by their names."""

#: What each part of the file must be, as a full rule that fits any fault of that part.
_PARTS: Final[Mapping[str, str]] = {
    "hooks": "must hold at least one hook, as a table [hooks.NAME]",
    "secrets": "must be a list of one or two texts: env:NAME, file:/path, or the secret itself",
    "header": "must be the name of a header",
    "equals": "must be a text, a number, true or false",
    "in": "must be a list of texts, numbers, true or false",
}

#: Pydantic's error types as the rule that was broken; pydantic's own messages address programmers.
_KINDS: Final[Mapping[str, str]] = {
    "missing": "must be given",
    "extra_forbidden": "is not known here",
    "union_tag_not_found": "must say its scheme",
    "union_tag_invalid": "must have the scheme standard, stripe, github, hmac or bearer",
    "string_type": "must be a text",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
}

#: Beginnings of pydantic's messages that "must be" replaces.
_BEGINNINGS: Final = ("Input should be ", "Value error, ")

_A_NAME: Final = "must have a name of at most 63 of a-z, 0-9, dash, underscore"


def load_hooks(
    file: Path, *, environment: Mapping[str, str] | None, limits: RequestLimits | None = None
) -> Hooks:
    """Load the hooks of a file.

    Args:
        file: TOML.
        environment: where `env:NAME` secrets are looked up. If it is None, no secret is looked up,
            and the hooks accept no signature.
        limits: what this installation allows beyond, or short of, the API's page.

    Raises:
        HooksFileFaulty: with every fault.
    """
    written = _read(file)
    faults: list[HookFault] = []
    hooks: dict[str, Hook] = {}
    for name, hook in written.hooks.items():
        keys: tuple[bytes, ...] = ()
        if environment is not None:
            keys = tuple(_keys(name, hook, environment, file.parent, faults))
        faults += _constant_faults(name, hook, limits or RequestLimits())
        hooks[name] = _ready(name, hook, keys)
    if faults:
        raise HooksFileFaulty(faults)
    return hooks


def _read(file: Path) -> FileOfHooks:
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
        return FileOfHooks.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        raise HooksFileFaulty(map(_fault, found)) from None
    except OSError as error:
        fault = HookFault("", str(file), f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        fault = HookFault("", str(file), "is not UTF-8")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        fault = HookFault("", str(file), f"is not TOML: {error}")
    raise HooksFileFaulty([fault])


def _ready(name: str, hook: WrittenHook, keys: tuple[bytes, ...]) -> Hook:
    return Hook(
        name=name,
        scheme=str(hook.scheme),  # type: ignore[attr-defined]  # each kind has its own
        signature=hook.signature(keys),
        owner=hook.owner,
        conditions=tuple(condition.condition() for condition in hook.when),
        request=parse_template(hook.request),
        job=parse_template(hook.job),
        key=parse_template(hook.key),
    )


def _keys(
    name: str,
    hook: WrittenHook,
    environment: Mapping[str, str],
    folder: Path,
    faults: list[HookFault],
) -> Iterator[bytes]:
    """Return the valid secrets, and add the faults of the others to `faults`."""
    for index, place in enumerate(hook.secrets):
        try:
            secret = found_at(place, environment, folder)
            yield decoded(secret, as_base64=hook.secrets_are_base64)
        except SecretFaulty as error:
            faults.append(HookFault(name, f"secrets[{index}]", f"must be {error}"))


def _constant_faults(name: str, hook: WrittenHook, limits: RequestLimits) -> Iterator[HookFault]:
    """Return what is wrong with the request and the job whatever the payload contains."""
    request = _constants(hook.request)
    if "prompt" in hook.request and request["prompt"] is None:
        request["prompt"] = "made of the payload"
    if "filter_model" in hook.request and request["filter_model"] is None:
        request |= dict.fromkeys(request.keys() & {"width", "height"})  # the model's rules differ
    job = _job_constants(hook.job)
    for key in sorted(hook.job.keys() & {"owner", "idempotency_key"}):
        job.pop(key, None)
        yield HookFault(name, f"job.{key}", "is not known here: a hook has `owner` and `key`")
    _, option_faults = parse_options(job | {"owner": hook.owner})
    yield from _as_hook_faults(name, "request", request_faults(request, limits))
    yield from _as_hook_faults(name, "job", option_faults)


def _constants(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the constant fields; one that depends on the payload is null ("not set")."""
    templates: dict[str, Any] = parse_template(fields)
    return {
        name: None if has_placeholders(template) else template
        for name, template in templates.items()
    }


def _job_constants(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same for the job, and every name that a job does not have."""
    names = JobOptions.model_fields
    return {
        name: value
        for name, value in _constants(fields).items()
        if value is not None or name not in names
    }


def request_faults(request: Mapping[str, Any], limits: RequestLimits) -> tuple[Fault, ...]:
    """Return the broken rules of a request; empty if there are none."""
    try:
        check_request(request, limits)
    except RequestInvalid as error:
        return error.faults
    return ()


def _as_hook_faults(name: str, table: str, faults: Iterable[Fault]) -> Iterator[HookFault]:
    for fault in faults:
        field = fault.field if fault.field == "owner" else f"{table}.{fault.field}"
        yield HookFault(name, field, f"must be {fault.rule}")


def _fault(error: ErrorDetails) -> HookFault:
    """Return pydantic's error as a fault with its hook and field, worded for a user."""
    place = error["loc"]
    if len(place) < len(("hooks", "NAME")):
        return HookFault("", _field(place), _rule(error, place))
    _, name, *path = place
    if path == ["[key]"]:
        return HookFault(str(name), "", _A_NAME)
    inner = path[1:]  # its first part is the scheme
    return HookFault(str(name), _field(inner), _rule(error, inner))


def _field(path: Sequence[int | str]) -> str:
    """Return the field as text, such as `secrets[0]` or `when[1].path`."""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in path]
    return "".join(parts).removeprefix(".")


def _rule(error: ErrorDetails, path: Sequence[int | str]) -> str:
    if error["type"] in {"missing", "extra_forbidden"}:
        return _KINDS[error["type"]]
    words = [part for part in path if isinstance(part, str)]
    if words and words[-1] in _PARTS:
        return _PARTS[words[-1]]
    message = error["msg"]
    for beginning in _BEGINNINGS:
        if message.startswith(beginning):
            message = f"must be {message.removeprefix(beginning)}"
    return _KINDS.get(error["type"], message)
