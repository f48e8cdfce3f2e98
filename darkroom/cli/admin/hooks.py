"""`darkroom hooks`: check the file of hooks, and show what a payload would become.

Both commands are read-only: no signature is made or checked, nothing is stored, and no service is
asked.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from darkroom.settings import Settings
    from gateway.hooks.config import Hooks
    from gateway.hooks.hook import Hook, JobSubmission
    from playground.errors import Fault

__all__ = ["hooks"]

hooks = typer.Typer(
    name="hooks",
    help="Look over the file of incoming webhooks.\n\nExample: darkroom hooks check",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

File = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The file of hooks; DARKROOM_HOOKS_FILE."),
]


@hooks.command()
def check(
    *,
    file: File = None,
    without_secrets: Annotated[
        bool, typer.Option("--without-secrets", help="Look no secret up.")
    ] = False,
    as_json: Annotated[bool, options.as_json("Print a JSON line a hook.")] = False,
) -> None:
    """Check the whole file, including secrets, and list its hooks.

    Every fault is a line with its hook and field. The gateway loads the same file, and does not
    start with a faulty one.

    Example: darkroom hooks check --file examples/hooks.toml --without-secrets
    """
    found = _load(_settings(file), with_secrets=not without_secrets)
    for hook in found.values():
        if as_json:
            print_json(_hook_as_json(hook))
        else:
            echo(f"{_address(hook):<32} {hook.scheme:<10} owner {hook.owner}")


@hooks.command("test")
def try_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The hook.")],
    *,
    payload: Annotated[
        Path, typer.Option(metavar="FILE", help="A body its sender may send; - is stdin.")
    ],
    file: File = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what a delivery would become, and what is wrong with it.

    Nothing is signed, sent or stored, and no secret is needed.

    Example: darkroom hooks test shop --payload created.json
    """
    from playground.errors import RequestInvalid

    settings = _settings(file)
    hook = _named(name, _load(settings, with_secrets=False))
    submission, faults = _submission(hook, _read(payload), settings)
    if as_json:
        print_json(_answer(submission, faults))
    elif submission is None and not faults:
        echo("filtered: answered with success, and no job submitted")
    elif submission is not None:
        echo(*_lines(submission))
    if faults and as_json:
        raise typer.Exit(2)
    if faults:
        raise RequestInvalid(faults)


def _settings(file: Path | None) -> "Settings":
    from darkroom.settings import load_settings

    return load_settings(hooks_file=file)


def _load(settings: "Settings", *, with_secrets: bool) -> "Hooks":
    """Load the hooks, or raise an error with a line for each fault."""
    from darkroom.settings import environment, variable
    from darkroom.wiring.factory import Wiring

    try:
        from gateway.hooks.config import load_hooks
        from gateway.hooks.errors import HooksFileFaulty
    except ModuleNotFoundError as error:
        raise UserError(f"hooks need the extra [gateway]: there is no {error.name}") from error
    if settings.hooks_file is None:
        raise UserError(f"{variable('hooks_file')} is not set, and no --file given", exit_status=2)
    variables = environment() if with_secrets else None
    limits = Wiring(settings).request_limits
    try:
        return load_hooks(settings.hooks_file, environment=variables, limits=limits)
    except HooksFileFaulty as error:
        for fault in error.faults:
            note(str(fault))
        raise typer.Exit(1) from None


def _named(name: str, found: "Hooks") -> "Hook":
    if name not in found:
        names = ", ".join(found)
        raise UserError(f"there is no hook {name!r}: the file has {names}", exit_status=2)
    return found[name]


def _read(file: Path) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read()
    try:
        return file.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}", exit_status=2) from error


def _submission(
    hook: "Hook", body: bytes, settings: "Settings"
) -> "tuple[JobSubmission | None, tuple[Fault, ...]]":
    """Return the job a body would become, and its faults; neither if the filter leaves it out."""
    from gateway.errors import GatewayError
    from gateway.hooks.errors import PayloadUnfit
    from gateway.hooks.signatures import VerifiedSignature
    from gateway.http.body import parse_json

    try:
        parsed = parse_json(body)
        if not hook.wants(parsed):
            return None, ()
        submission = hook.submission_of(parsed, body, VerifiedSignature(_id_of(hook)))
    except PayloadUnfit as error:
        return None, error.faults
    except GatewayError as error:
        raise UserError(error.detail, exit_status=2) from None
    return submission, _faults_of(submission, settings)


def _id_of(hook: "Hook") -> str | None:
    """Return the stand-in for the id that a sender signs."""
    return "WEBHOOK-ID" if hook.scheme == "standard" else None


def _faults_of(submission: "JobSubmission", settings: "Settings") -> "tuple[Fault, ...]":
    from darkroom.wiring.factory import Wiring
    from gateway.hooks.config import request_faults
    from tasks.submission.options import parse_options

    limits = Wiring(settings).request_limits
    _, option_faults = parse_options(dict(submission.options))
    return (*request_faults(submission.request, limits), *option_faults)


def _answer(submission: "JobSubmission | None", faults: "tuple[Fault, ...]") -> dict[str, Any]:
    faults_json = [
        {"field": fault.field, "value": fault.value, "rule": fault.rule} for fault in faults
    ]
    if submission is None:
        return {"accepted": False, "faults": faults_json} if faults_json else _FILTERED
    return {
        "accepted": not faults_json,
        "request": submission.request,
        "options": submission.options,
        "faults": faults_json,
    }


_FILTERED = {"accepted": False, "reason": "filtered", "faults": []}


def _lines(submission: "JobSubmission") -> list[str]:
    """Return every field as it would be submitted; anything but plain text as JSON."""
    import orjson

    def text(value: Any) -> str:
        return value if isinstance(value, str) else orjson.dumps(value).decode()

    fields = {**submission.request, **submission.options}
    if isinstance(fields.get("init_image"), str):
        fields["init_image"] = f"({len(fields['init_image'])} characters)"
    return [f"{name:<24} {text(value)}" for name, value in fields.items()]


def _hook_as_json(hook: "Hook") -> dict[str, Any]:
    return {
        "name": hook.name,
        "path": _address(hook),
        "scheme": hook.scheme,
        "owner": hook.owner,
        "conditions": len(hook.conditions),
    }


def _address(hook: "Hook") -> str:
    return f"/v1/hooks/{hook.name}"
