"""The command line: one command per file, and one line for each foreseen error.

Commands import what they need when they run, so that `darkroom --help` answers at once. Exit
status: 0 done, 1 a result is not as it should be, 2 the command line was wrong, 130 interrupted.
Only a bug of Darkroom shows a traceback. The commands render; the rules for what they change are in
`tasks/` and `storage/`.
"""

from collections.abc import Sequence
from typing import Annotated

import typer

from darkroom import __version__
from darkroom.cli.admin.doctor import doctor
from darkroom.cli.admin.hooks import hooks
from darkroom.cli.admin.keys import keys
from darkroom.cli.admin.migrate import migrate
from darkroom.cli.admin.owners import owners
from darkroom.cli.admin.pause import pause
from darkroom.cli.admin.resume import resume
from darkroom.cli.admin.verify import verify
from darkroom.cli.admin.webhooks import webhooks
from darkroom.cli.batch.command import batch
from darkroom.cli.common.error_messages import lines_of
from darkroom.cli.common.output import echo, note
from darkroom.cli.jobs.cancel import cancel
from darkroom.cli.jobs.forget import forget
from darkroom.cli.jobs.list_jobs import list_
from darkroom.cli.jobs.retry import retry
from darkroom.cli.jobs.show import show
from darkroom.cli.jobs.submit import submit
from darkroom.cli.jobs.watch import watch
from darkroom.cli.processes.demo import demo
from darkroom.cli.processes.gateway import gateway
from darkroom.cli.processes.simulator import simulator
from darkroom.cli.processes.up import up
from darkroom.cli.processes.worker import worker

__all__ = ["app", "run"]

app = typer.Typer(
    name="darkroom",
    help="Prompts in, stored images out: nothing lost, nothing knowingly paid twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

#: In the order of `darkroom --help`: the processes, the set-up, the jobs, the fleet.
COMMANDS = (
    demo,
    up,
    worker,
    gateway,
    simulator,
    migrate,
    doctor,
    submit,
    batch,
    watch,
    list_,
    show,
    cancel,
    retry,
    forget,
    verify,
    pause,
    resume,
)

for command in COMMANDS:
    app.command(name=command.__name__.rstrip("_"))(command)

#: Groups with a few subcommands each, after the commands.
for group in (keys, owners, hooks, webhooks):
    app.add_typer(group)


def _version(requested: bool) -> None:  # noqa: FBT001 - typer calls it with the option's value
    if requested:
        echo(f"darkroom {__version__}")
        raise typer.Exit


@app.callback(epilog="Example: darkroom submit 'a paper fox' --seed 7 -o fox.png")
def _top(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = None,
) -> None:
    del version


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit status, if a foreseen error ended the command.

    Raises:
        SystemExit: every other ending, with its status.
    """
    try:
        app(list(arguments), prog_name="darkroom")
    except KeyboardInterrupt:  # pressed before the command handles an interruption itself
        note("stopped")
        return 130
    except Exception as error:  # noqa: BLE001 - an unforeseen error is raised again
        lines, status = lines_of(error)
        for line in lines:
            note(line)
        return status
    return 0
