"""The demo as a command sees it: ask, bring everything up, run, tell, take everything down."""

import sys
import time
from pathlib import Path

import typer

from darkroom.demo.plan import demo_plan, leave_settings_behind
from darkroom.demo.prompts import demo_prompts, prompts_file
from darkroom.demo.run import Outcome, Run
from darkroom.demo.show import Show, command, relative
from darkroom.errors import UserError
from darkroom.local import migrate_table, write_env_file
from darkroom.stack import LocalStack, Stop, stop_on_signals

__all__ = ["run_demo"]


def run_demo(data_dir: Path, *, real: bool, yes: bool, show: Show) -> Outcome:
    """Run the demo.

    Args:
        data_dir: everything of the demo, kept from run to run.
        real: call the real API, and pay.
        yes: don't ask before paying.
        show: speaks to the person.

    Returns:
        What came of it.

    Raises:
        KeyboardInterrupt: the person stopped it; nothing is left running.
        UserError: it can't start, or the person does not want to pay.
    """
    folder = data_dir.absolute()
    shown = relative(folder, Path.cwd())
    plan = demo_plan(folder, real=real)
    if real:
        _ask(show, yes=yes)
    leave_settings_behind(folder)
    _greet(show, real=real)
    with stop_on_signals() as stop:
        try:
            with LocalStack(plan, stop=stop, prepare=migrate_table, say=show.say) as stack:
                outcome = _run(stack, stop, show, simulated=not real)
                _tell(show, outcome)
                show.where(folder, shown)
        except KeyboardInterrupt:
            _tell_stopped(show, shown)
            raise
    return outcome


def _run(stack: LocalStack, stop: Stop, show: Show, *, simulated: bool) -> Outcome:
    names = {service.name: service.address for service in stack.services}
    show.say(
        f"  [dim]broker {names['broker']}  bucket {names['s3']}\n  table {names['database']}\n"
    )
    write_env_file(stack.plan.data_dir, stack.variables)
    began_s = time.monotonic()
    outcome = Run(stack.variables, stack.plan.data_dir, stop=stop, simulated=simulated)(show)
    show.say(f"  [dim]{len(outcome.pictures)} pictures in {time.monotonic() - began_s:.1f} s\n")
    return outcome


def _greet(show: Show, *, real: bool) -> None:
    who = "the real API answers" if real else "the simulator answers: no key, no cost"
    show.say(
        "\n[bold]Darkroom[/]  prompts through Celery, a real Redis and real HTTP, into an S3 "
        f"bucket\n  [dim]{who}"
    )


def _ask(show: Show, *, yes: bool) -> None:
    calls = sum(prompt.is_call for prompt in demo_prompts(prompts_file()))
    show.say(f"{calls} paid calls to the real API, more only where an answer is lost or useless.")
    if yes:
        return
    if not sys.stdin.isatty():
        raise UserError("nobody is there to be asked; say --yes to pay for them", exit_status=2)
    if not typer.confirm("Make them?", err=True):
        raise UserError("nothing was called")


def _tell(show: Show, outcome: Outcome) -> None:
    show.table(outcome.pictures, outcome.refused)
    count = len(outcome.pictures)
    sentence = f"{count} rows agree with {count} objects in the bucket: SHA-256, size, PNG, pixels."
    if outcome.charged is not None:
        sentence += f" {outcome.charged} calls were charged for them, one each."
    show.verdict(outcome.problems, sentence)


def _tell_stopped(show: Show, shown: str) -> None:
    show.say(
        f"\nStopped; nothing is left running. What was handed in is kept in {shown} and goes on "
        f"with the next\n  {command()} demo    or    {command()} up --data-dir '{shown}'"
    )
