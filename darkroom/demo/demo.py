"""The demo as one function: ask, start the stack, run, print the result, stop the stack."""

import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from darkroom.checks import Level
from darkroom.checks.key import check_key
from darkroom.demo.plan import demo_plan, leave_settings_behind
from darkroom.demo.prompts import demo_prompts, prompts_file
from darkroom.demo.run import Outcome, Run
from darkroom.demo.show import Show, relative
from darkroom.errors import UserError
from darkroom.local.kind import prepare_table
from darkroom.local.plan import write_env_file
from darkroom.settings import load_settings
from darkroom.stack import LocalStack, Stop, stop_on_signals
from darkroom.wiring.factory import Wiring

__all__ = ["run_demo"]


def run_demo(data_dir: Path, *, real: bool, yes: bool, show: Show) -> Outcome:
    """Run the demo.

    Args:
        data_dir: holds all files of the demo, and is kept from run to run.
        real: call the real API, and pay.
        yes: don't ask before paying.
        show: prints to the user.

    Returns:
        The result of the run.

    Raises:
        KeyboardInterrupt: the user stopped it; nothing is left running.
        UserError: it can't start, or the user does not agree to pay.
    """
    folder = data_dir.absolute()
    place = Place.seen_from(Path.cwd(), folder)
    plan = demo_plan(folder, real=real)
    if real:
        _try_key()
        _confirm(show, yes=yes)
    leave_settings_behind(folder)
    _greet(show, real=real)
    prepare = partial(prepare_table, simulated=not real)
    with stop_on_signals() as stop:
        try:
            with LocalStack(plan, stop=stop, prepare=prepare, echo=show.echo) as stack:
                outcome = _run(stack, stop, show, simulated=not real)
                _report(show, outcome)
                show.where(place.folder, place.command)
        except KeyboardInterrupt:
            show.echo(
                f"\nStopped; nothing is left running. Submitted jobs are kept in {place.folder} "
                f"and goes on with the next\n  {place.command} demo --data-dir {place.folder}\n"
                f"Look again meanwhile: . {place.folder}/env && {place.command} list"
            )
            raise
    return outcome


@dataclass(frozen=True, slots=True)
class Place:
    """Names that the user can type, relative to the current folder.

    Attributes:
        folder: the demo's folder.
        command: this installation's command.
    """

    folder: str
    command: str

    @classmethod
    def seen_from(cls, here: Path, folder: Path) -> "Place":
        """Return the names as seen from a folder."""
        script = Path(sys.executable).with_name("darkroom")
        is_found = shutil.which("darkroom") is not None
        name = "darkroom" if is_found or not script.exists() else relative(script, here)
        return cls(shlex.quote(relative(folder, here)), shlex.quote(name))


def _run(stack: LocalStack, stop: Stop, show: Show, *, simulated: bool) -> Outcome:
    names = {service.name: service.address for service in stack.services}
    show.echo(
        f"  [dim]broker {names['broker']}, bucket {names['s3']}\n  table {names['database']}\n"
    )
    write_env_file(stack.plan.data_dir, stack.variables)
    began_s = time.monotonic()
    run = Run(stack.variables, stack.plan.data_dir, stop=stop, simulated=simulated)
    try:
        outcome = run.run(show)
    except KeyboardInterrupt:
        show.echo("\nStopping: calls under way may end; Ctrl-C again leaves at once.")
        raise
    except UserError as error:  # printed now as well: images in progress may take minutes to save
        stop.request()
        show.echo(f"\n{error}\nStopping: received images are being saved; Ctrl-C leaves at once.")
        raise
    show.echo(f"  [dim]{len(outcome.pictures)} pictures in {time.monotonic() - began_s:.1f} s\n")
    return outcome


def _greet(show: Show, *, real: bool) -> None:
    source = "the real API answers" if real else "the simulator answers: no key, no cost"
    show.echo(
        "\n[bold]Darkroom[/]  prompts through Celery, a real Redis and real HTTP, into an S3 bucket"
        f"\n  [dim]{source}"
    )


def _try_key() -> None:
    """Check the key with the API before anything is started; costs nothing."""
    for finding in check_key(Wiring(load_settings())):
        if finding.level is Level.BAD:
            raise UserError(finding.line)


def _confirm(show: Show, *, yes: bool) -> None:
    calls = sum(prompt.is_call for prompt in demo_prompts(prompts_file()))
    show.echo(f"{calls} paid calls to the real API, more only where an answer is lost or useless.")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("standard input is no terminal; add --yes to pay for them", exit_status=2)
    if not typer.confirm("Make them?", err=True):
        raise UserError("nothing was called")


def _report(show: Show, outcome: Outcome) -> None:
    show.table(outcome.pictures, outcome.refused)
    count = len(outcome.pictures)
    sentence = f"{count} rows agree with {count} objects in the bucket: SHA-256, size, PNG, pixels."
    if outcome.charged is not None:
        sentence += f" {outcome.charged} calls were charged for them, one each."
    show.verdict(outcome.problems, sentence)
