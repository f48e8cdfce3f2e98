"""The operator's tool: one command per file, one line per mistake.

Commands import what they need when they run, so that `darkroom --help` answers at once. Exit
status: 0 done, 1 something is not as it should be, 2 the call itself was wrong, 130 interrupted.
Only a bug of ours shows a traceback.
"""

import sys
from collections.abc import Sequence

import typer

from darkroom.cli.worker import worker
from darkroom.errors import UserError

__all__ = ["app", "run"]

app = typer.Typer(
    name="darkroom",
    help="Prompts in, stored images out: nothing lost, nothing knowingly paid twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

for command in (worker,):
    app.command()(command)


@app.callback()
def _top() -> None:
    """Keep `darkroom` a group of commands even while it has only one."""


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Returns:
        The exit status of a command that a foreseen error ended.

    Raises:
        SystemExit: every other ending, with its status.
    """
    try:
        app(list(arguments))
    except UserError as error:
        return _say(str(error), error.exit_status)
    except Exception as error:  # noqa: BLE001 - what no room of ours foresaw is raised again
        return _say(_of_our_rooms(error), 1)
    return 0


def _of_our_rooms(error: Exception) -> str:
    """The line of an error that one of our rooms foresaw; a bug is raised again."""
    from playground import PlaygroundError
    from storage import StorageError

    if not isinstance(error, StorageError | PlaygroundError):
        raise error
    return str(error)


def _say(line: str, status: int) -> int:
    print(f"darkroom: {line}", file=sys.stderr)
    return status
