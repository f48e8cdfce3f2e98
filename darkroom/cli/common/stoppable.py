"""Stop a long change between two of its steps, and report how far it got.

Each step is committed, so after a Ctrl-C or a database outage none is half done.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import typer

from darkroom.cli.common.output import clear_line, note, overwrite

__all__ = ["meter", "stoppable"]


@contextmanager
def stoppable(
    report: Callable[[], None], rest: Callable[[], str] = lambda: "the same command does the rest"
) -> Iterator[Callable[[], None]]:
    """Let a long change be stopped between two steps, and report its progress.

    A first Ctrl-C waits for the end of the step, so that the report is complete; a second one does
    not.

    Args:
        report: prints what was done until then.
        rest: returns a text about what happens to the rest.

    Yields:
        A function to call after each step.

    Raises:
        typer.Exit: with status 130, on Ctrl-C.
        DatabaseError: unchanged, after the report.
        ObjectStoreError: the same.
    """
    from storage.errors import DatabaseError, ObjectStoreError

    try:
        with _interrupt_deferred() as step_done:
            yield step_done
        clear_line()
    except KeyboardInterrupt:
        clear_line()
        report()
        note(f"stopped before the end; what is done stays, and {rest()}")
        raise typer.Exit(130) from None
    except (DatabaseError, ObjectStoreError):
        clear_line()
        report()
        note(f"stopped before the end; {rest()}")
        raise


@contextmanager
def _interrupt_deferred() -> Iterator[Callable[[], None]]:
    """Defer a Ctrl-C until the yielded function is called; a second one takes effect at once."""
    pressed = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def keep(_number: int, _frame: FrameType | None) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, before)

    def step_done() -> None:
        if pressed.is_set():
            raise KeyboardInterrupt

    # signals are only delivered to the main thread
    if threading.current_thread() is not threading.main_thread():
        yield step_done
        return
    signal.signal(signal.SIGINT, keep)
    try:
        yield step_done
    finally:
        signal.signal(signal.SIGINT, before)


def meter(what: str) -> Callable[[int], None]:
    """Show the progress of a long change on a terminal."""

    def show(count: int) -> None:
        overwrite(f"{count:,} {what}")

    return show
