"""`darkroom batch`: many jobs from a file or a pipe, all of them or none."""

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Final, Literal, cast
from uuid import UUID

import typer

from darkroom.cli import options
from darkroom.cli.say import interruptible, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # a matter of start-up time, not of arrows
    from darkroom.wiring import Wiring
    from storage import BatchProgress, Database
    from tasks import BatchOptions, Beside, CheckedBatch, LineFile

__all__ = ["batch"]

#: More calls than this are asked about first, where somebody is there to answer.
ASK_ABOVE_CALLS: Final = 1000

#: Most failed jobs whose codes are looked at; the counts are exact in any case.
MOST_CODES: Final = 1000


def batch(
    file: Annotated[
        str, typer.Argument(help="JSONL or CSV, perhaps gzipped; - reads standard input.")
    ],
    *,
    line_format: Annotated[
        Literal["jsonl", "csv"] | None,
        typer.Option("--format", help="How to read the lines; the file's name tells otherwise."),
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Leave faulty lines out instead of refusing all.")
    ] = False,
    key: Annotated[
        str | None,
        typer.Option(help="Handing the same in again under this key hands in nothing twice."),
    ] = None,
    owner: Annotated[str, typer.Option(help="Whose jobs they are.")] = "default",
    priority: Annotated[int, typer.Option(help="Higher goes first; a line may have its own.")] = 0,
    given: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PARAM=VALUE",
            help="A parameter of lines that lack it; repeatable.",
        ),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the end of every job.")] = True,
    yes: Annotated[bool, options.yes("Don't ask before many calls.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Hand in many jobs: a JSON object a line, or CSV with the parameters as its first row.

    A line may also have `key`, `metadata` and `priority`. In a file, "init_image": "@sketch.png"
    is the picture beside it. Either all lines go in or none. Exit status 1 if any job ends without
    a picture.

    Example: darkroom batch prompts.jsonl --key night-42 --set filter_model=Photorealism
    """
    from darkroom.cli.opened import opened
    from tasks import Batches, BatchOptions

    common = BatchOptions(
        owner=owner, key=key, name=_name(file), priority=priority, defaults=_defaults(given or [])
    )
    wiring = opened()
    with _mistakes(file), _lines(wiring, file, line_format, common) as (lines, beside):
        told = _counter("lines checked")
        batches = Batches(wiring.intake, wiring.database)
        with _nothing_handed_in():
            checked = batches.check(lines, common, beside=beside, told=told)
        with checked:
            is_simulated = wiring.settings.simulated
            _announce(checked, skip_invalid=skip_invalid, is_simulated=is_simulated)
            _ask(checked, yes=yes or file == "-")
            found = _load(wiring, batches, checked)
    counts = _follow(wiring.database, found) if wait else None
    _report(wiring.database, found, checked, counts, as_json=as_json)
    raise typer.Exit(0 if counts is None or counts.succeeded == counts.total else 1)


def _name(file: str) -> str:
    return "standard input" if file == "-" else Path(file).name


def _defaults(given: list[str]) -> dict[str, Any]:
    from tasks import parameters, value_of

    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in parameters():
            names = ", ".join(parameters())
            raise UserError(f"--set {text[:80]!r}: PARAM=VALUE, from {names}", exit_status=2)
        found[name] = value_of(name, value)
    return found


@contextmanager
def _lines(
    wiring: "Wiring", file: str, line_format: str | None, options: "BatchOptions"
) -> "Iterator[tuple[LineFile, Beside | None]]":
    """The file's lines, and the files beside it."""
    from tasks import Beside, FileFormat, LineFile, format_of

    kind = line_format or ("jsonl" if file == "-" else format_of(file))
    if kind is None:
        _opened(Path(file)).close()  # a file that is not there has no format either
        raise UserError(f"{file}: say --format jsonl or --format csv", exit_status=2)
    as_kind = cast("FileFormat", kind)
    given = frozenset(options.defaults)
    if file == "-":
        yield LineFile(sys.stdin.buffer, as_kind, given=given), None
        return
    with _opened(Path(file)) as stream:
        folder = Path(file).absolute().parent
        beside = Beside(folder, wiring.settings.max_init_image_bytes)
        yield LineFile(stream, as_kind, given=given), beside


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}", exit_status=2) from error


@contextmanager
def _mistakes(file: str) -> Iterator[None]:
    """Say what is wrong with the file in the words of a command line."""
    from tasks import BatchFaulty, BatchKeyTaken, LinesUnreadable, StagingFailed

    try:
        yield
    except LinesUnreadable as error:
        raise UserError(f"{_name(file)}: {error}", exit_status=2) from error
    except BatchKeyTaken as error:
        raise UserError(f"--key: {error}") from error
    except StagingFailed as error:
        raise UserError(str(error)) from error
    except BatchFaulty as error:
        for fault in error.faults:
            print(f"{_name(file)}, {fault}", file=sys.stderr)
        if error.count > len(error.faults):
            print(f"… and {error.count - len(error.faults):,} more", file=sys.stderr)
        raise UserError(
            f"nothing was handed in: faulty lines: {error.count:,}; mend them, or leave them out "
            "with --skip-invalid",
            exit_status=2,
        ) from error


@contextmanager
def _nothing_handed_in() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        note("stopped; nothing was handed in")
        raise typer.Exit(130) from None


def _announce(checked: "CheckedBatch", *, skip_invalid: bool, is_simulated: bool) -> None:
    from tasks import LinesUnreadable

    if not skip_invalid:
        checked.require_good()
    for fault in checked.faults:
        note(f"left out: {fault}")
    if checked.fault_count > len(checked.faults):
        note(f"… and {checked.fault_count - len(checked.faults):,} more")
    if not checked.count:
        raise LinesUnreadable("has no good line in it")
    calls = f"{checked.count:,} {'simulated' if is_simulated else 'paid'} call"
    calls += "" if checked.count == 1 else "s"
    note(f"{calls}, about {_size(checked.estimated_bytes)} of pictures (estimated by their sizes)")


def _size(size_bytes: int) -> str:
    from darkroom.cli.looks import size_text

    return size_text(size_bytes) if size_bytes < 1e8 else f"{size_bytes / 1e9:,.1f} GB"  # noqa: PLR2004 - 0.1 GB


def _ask(checked: "CheckedBatch", *, yes: bool) -> None:
    if yes or checked.count <= ASK_ABOVE_CALLS or not sys.stdin.isatty():
        return
    if not typer.confirm("Hand them in?", err=True):
        raise UserError("nothing was handed in")


def _load(wiring: "Wiring", batches: Any, checked: "CheckedBatch") -> UUID:
    """Hand the lines in; the batch's id."""
    try:
        loaded = batches.load(checked, told=_counter("jobs handed in"))
    except KeyboardInterrupt:
        note(f"stopped; {_whether_in(wiring.database, checked.batch_id)}")
        raise typer.Exit(130) from None
    if not loaded.created:
        note(f"this batch was handed in before: {loaded.batch_id}, {loaded.total:,} jobs")
    found: UUID = loaded.batch_id
    return found


def _whether_in(database: "Database", batch_id: UUID) -> str:
    from storage import BatchNotFound, get_batch

    try:
        is_open = get_batch(database, batch_id).opened_at is not None
    except BatchNotFound:
        is_open = False
    return f"batch {batch_id} was handed in before" if is_open else "nothing was handed in"


def _follow(database: "Database", batch_id: UUID) -> "BatchProgress":
    from darkroom.cli.batch_bar import follow_batch
    from storage import live_workers

    if not live_workers(database):
        note("no worker is running: start one with `darkroom worker`")
    again = f"darkroom watch --batch {batch_id}"
    with interruptible(f"batch {batch_id}", again):
        return follow_batch(database, batch_id, label="batch")


def _report(
    database: "Database",
    batch_id: UUID,
    checked: "CheckedBatch",
    counts: "BatchProgress | None",
    *,
    as_json: bool,
) -> None:
    codes = _codes(database, batch_id) if counts is not None and counts.failed else {}
    if as_json:
        facts = {"batch_id": batch_id, "key": checked.options.key, "invalid": checked.fault_count}
        shown = {} if counts is None else {"counts": counts, "error_codes": codes}
        print_json(facts | {"total": checked.count} | shown)
        return
    if counts is None:
        print(batch_id)
        note(f"look: darkroom watch --batch {batch_id}")
        return
    print(
        f"batch {batch_id}: {counts.succeeded:,} succeeded, {counts.failed:,} failed, "
        f"{counts.cancelled:,} cancelled"
    )
    for code, times in codes.items():
        print(f"  {times:>6,} {code}")


def _codes(database: "Database", batch_id: UUID) -> dict[str, int]:
    """How often each error ended a job; of the latest ones where there are many."""
    from storage import JobStatus, list_jobs

    jobs = list_jobs(database, status=JobStatus.FAILED, batch_id=batch_id, limit=MOST_CODES)
    return dict(Counter(job.error.code for job in jobs if job.error is not None).most_common())


def _counter(what: str) -> Any:
    """Says on a terminal how far a long load is."""

    def told(count: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{count:,} {what} ", end="", file=sys.stderr, flush=True)

    return told
