"""`darkroom webhooks`: list deliveries with their receivers and results, and send them again.

Incoming webhooks are `darkroom hooks`; this command handles outgoing ones.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from darkroom.cli.common import options
from darkroom.cli.common.output import echo, note, print_json
from darkroom.errors import UserError

if TYPE_CHECKING:  # to start quickly, not to hide an import cycle
    from storage.db.database import Database
    from storage.db.keyset import Cursor
    from storage.records.delivery import Delivery
    from storage.webhooks.log import DeliveryFilter
    from tasks.bulk.replay_many import BulkReplay, ReplayResult

__all__ = ["webhooks"]

State = Literal["pending", "delivered", "failed", "disabled"]
Event = Literal["job.succeeded", "job.failed", "job.cancelled", "batch.completed"]
MAX_PAGE = 10_000

OfState = Annotated[State | None, typer.Option(help="Only deliveries in this state.")]
OfEvent = Annotated[Event | None, typer.Option(help="Only deliveries of this event.")]
OfOwner = Annotated[str | None, typer.Option(metavar="NAME", help="Only this owner's.")]
OfJob = Annotated[str | None, typer.Option(metavar="ID", help="Only those of this job.")]
OfBatch = Annotated[str | None, options.batch_id("Only those of this batch and its jobs.")]
Since = Annotated[str | None, options.since("Only of ends since: 2h, 7d, 2026-05-01T08:30.")]

webhooks = typer.Typer(
    name="webhooks",
    help="List and replay outgoing webhooks.\n\nExample: darkroom webhooks list --state failed",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@webhooks.command("list")
def list_(
    *,
    state: OfState = None,
    event: OfEvent = None,
    owner: OfOwner = None,
    job: OfJob = None,
    batch: OfBatch = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_PAGE, help="Deliveries on a page.")] = 20,
    before: Annotated[
        str | None, typer.Option(metavar="ID", help="The page that follows this delivery.")
    ] = None,
    as_json: Annotated[bool, options.as_json("Print a JSON line a delivery.")] = False,
) -> None:
    """List deliveries, newest first.

    Example: darkroom webhooks list --state failed --since 2h
    """
    from darkroom.cli.common.context import opened
    from storage.webhooks.log import list_deliveries

    filter_ = _filter(state, event, owner, job, batch, since)
    database = opened().database
    edge = None if before is None else _cursor(database, before)
    page = list_deliveries(database, filter_, before=edge, limit=limit + 1)
    for delivery in page[:limit]:
        if as_json:
            print_json(_as_json(delivery))
        else:
            echo(_line(delivery))
    if not page:
        note("no deliveries")
    elif len(page) > limit:
        note(f"there are more: add --before {page[limit - 1].id}")


@webhooks.command()
def show(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="The delivery.")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Show a delivery and the result of each attempt.

    Example: darkroom webhooks show 4f0c1c1e-93a5-4b42-8b53-0a3b54c1ce2f
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.formatting import local_time
    from storage.webhooks.log import delivery_log

    database = opened().database
    delivery = _found(database, delivery_id)
    log = delivery_log(database, delivery.id)
    if as_json:
        print_json(_as_json(delivery) | {"log": [asdict(line) for line in log]})
        return
    echo(_line(delivery))
    echo(f"to {delivery.target}")
    for line in log:
        result = line.status if line.error is None else line.error
        answer = f" {line.answer[:200]}" if line.answer else ""
        echo(
            f"{line.number}. {local_time(line.ended_at)} {result} in {line.latency_ms:,} ms{answer}"
        )


@webhooks.command()
def replay(
    delivery_ids: Annotated[
        list[str] | None, typer.Argument(metavar="ID...", help="Deliveries to send again.")
    ] = None,
    *,
    undelivered: Annotated[
        bool, typer.Option("--undelivered", help="All that failed or were disabled.")
    ] = False,
    state: OfState = None,
    event: OfEvent = None,
    owner: OfOwner = None,
    job: OfJob = None,
    batch: OfBatch = None,
    since: Since = None,
    dry_run: Annotated[bool, options.dry_run("Count them, and send nothing.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Send deliveries again: the same bytes under the same id, on a new schedule.

    If there are several filters, all must match. Without --state, they select failed and disabled
    deliveries. A receiver that had answered 410 is enabled again.

    Example: darkroom webhooks replay --undelivered --since 2h
    """
    from darkroom.cli.common.context import opened
    from darkroom.cli.common.job_filter import read_ids
    from tasks.bulk.replay_many import BulkReplay, find_deliveries, select_deliveries

    filters = (state, event, owner, job, batch, since)
    if bool(delivery_ids) == (undelivered or any(filters)):
        raise UserError("replay what? Give ids, or --undelivered, or filters", exit_status=2)
    named = read_ids(delivery_ids or [])
    filter_ = _filter(*filters)
    database = opened().database
    again = BulkReplay(
        database,
        find_deliveries(database, named) if named else select_deliveries(database, filter_),
    )
    if not dry_run:
        _carry_out(again, as_json=as_json)
    for each in again.result.missing:
        why = "it is being sent just now" if each in again.being_sent else "there is none"
        note(f"delivery {each}: {why}")
    _report(again.result, dry_run=dry_run, as_json=as_json)
    raise typer.Exit(1 if again.result.missing else 0)


def _carry_out(replay_them: "BulkReplay", *, as_json: bool) -> None:
    from darkroom.cli.common.stoppable import meter, stoppable

    show, result = meter("deliveries due again"), replay_them.result
    with stoppable(lambda: _report(result, as_json=as_json)) as step_done:
        for _ in replay_them.steps():
            show(result.replayed)
            step_done()


def _report(result: "ReplayResult", *, dry_run: bool = False, as_json: bool) -> None:
    if as_json:
        print_json({"dry_run": dry_run, **asdict(result)})
        return
    kinds = ", ".join(f"{number:,} {event}" for event, number in result.events.items())
    about = f" ({kinds})" if kinds else ""
    if dry_run:
        echo(f"{result.deliveries:,} would be sent again{about}")
    else:
        echo(f"{result.replayed:,} are sent again{about}")


def _filter(
    state: State | None,
    event: str | None,
    owner: str | None,
    job: str | None,
    batch: str | None,
    since: str | None,
) -> "DeliveryFilter":
    from darkroom.cli.common.formatting import parse_job_id, parse_since
    from storage.records.delivery import DeliveryState
    from storage.webhooks.log import DeliveryFilter

    return DeliveryFilter(
        owner=owner,
        states=frozenset() if state is None else frozenset({DeliveryState(state)}),
        since=None if since is None else parse_since(since),
        event=event,
        job_id=None if job is None else parse_job_id(job),
        batch_id=None if batch is None else parse_job_id(batch),
    )


def _found(database: "Database", text: str) -> "Delivery":
    from darkroom.cli.common.formatting import parse_job_id
    from storage.webhooks.log import find_delivery

    delivery_id = parse_job_id(text)
    delivery = find_delivery(database, delivery_id)
    if delivery is None:
        raise UserError(f"there is no delivery {delivery_id}: `darkroom webhooks list` shows them")
    return delivery


def _cursor(database: "Database", text: str) -> "Cursor":
    from storage.db.keyset import Cursor

    delivery = _found(database, text)
    return Cursor(delivery.created_at, delivery.id)


def _as_json(delivery: "Delivery") -> dict[str, Any]:
    """Return every field, including the receiver, because the reader is the operator."""
    return {name: getattr(delivery, name) for name in delivery.__slots__}


def _line(delivery: "Delivery") -> str:
    from darkroom.cli.common.formatting import delivery_in_words, local_time

    when = local_time(delivery.created_at, to="%m-%d %H:%M %Z")
    about = f"job {delivery.job_id}" if delivery.job_id else f"batch {delivery.batch_id}"
    return f"{delivery.id} {when} {delivery.event} {about} {delivery_in_words(delivery)}"
