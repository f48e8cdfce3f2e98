"""Serve deliveries over HTTP: list and show them with their attempts, and replay them.

An owner sees and replays only deliveries about its own jobs. A replay needs a key with the scope
admin, because the receiver repeats whatever it does for a delivery.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool

from gateway.auth.caller import Admin, Caller, Reader
from gateway.auth.owned import DeliveryId, own_delivery
from gateway.http.openapi import json_body
from gateway.http.paging import Since, known_parameters_once, next_link, next_path, read_cursor
from gateway.http.problems import responses
from gateway.jobs.selection import MAX_IDS, read_bulk
from gateway.services import Services
from gateway.views.delivery import DeliveryPage, DeliveryView, LoggedDeliveryView
from storage.db.keyset import Cursor
from storage.records.delivery import DeliveryState
from storage.webhooks.log import DeliveryFilter, delivery_log, find_delivery, list_deliveries
from storage.webhooks.replay import replay_deliveries
from tasks.bulk.replay_many import (
    BulkReplay,
    NamedDeliveries,
    SelectedDeliveries,
    find_deliveries,
    select_deliveries,
)
from tasks.bulk.steps import run_for

__all__ = ["router"]

MAX_PAGE_DELIVERIES = 200
EVENT = r"^(job\.(succeeded|failed|cancelled)|batch\.completed)$"


class ReplayMany(BaseModel):
    """Replay many: by ids, or by state, optionally filtered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: Annotated[list[UUID], Field(min_length=1, max_length=MAX_IDS)] | None = Field(
        None, description="Deliveries by id; then nothing else chooses."
    )
    state: DeliveryState | None = Field(
        None,
        description="Only those in this state; failed and disabled ones by default. Of pending "
        "ones, those that wait for a later try: what is due goes anyway.",
    )
    since: Since | None = Field(None, description="Only of ends then or later.")
    job: UUID | None = Field(None, description="Only of this job.")
    batch: UUID | None = Field(None, description="Only of this batch or its jobs.")
    event: str | None = Field(None, pattern=EVENT, description="Only of this kind.")
    all: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="All of the owner's that did not arrive."
    )
    dry_run: Annotated[bool, Field(strict=True)] = Field(
        default=False, description="Count what would be sent again, and do nothing."
    )
    as_of: Since | None = Field(
        None, description="From an incomplete response: skip deliveries made later."
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        some = any((self.state, self.since, self.job, self.batch, self.event, self.all))
        if bool(self.ids) == some:
            raise ValueError("a selection by either ids, or state, since, job, batch, event or all")
        return self


class ReplayCounts(BaseModel):
    """The counts of a replay of many; for a dry run, what it would do."""

    dry_run: bool
    deliveries: int = Field(0, description="Deliveries selected.")
    events: dict[str, int] = Field({}, description="How many of them there are of each event.")
    replayed: int = Field(0, description="Deliveries that are sent again now.")
    missing: list[UUID] = Field([], description="Ids of none of this owner's, or of one under way.")
    complete: bool = Field(
        default=True, description="False: time was up; send the same with this `as_of` again."
    )
    as_of: datetime | None = None


def router(services: Services) -> APIRouter:
    """Return the routes of deliveries."""
    doing = Deliveries(services)
    routes = APIRouter(
        prefix="/v1/webhooks/deliveries",
        tags=["webhooks"],
        dependencies=[Depends(known_parameters_once)],
    )
    routes.get("", summary="Deliveries, newest first", responses=responses(401, 403, 422, 503))(
        doing.page
    )
    routes.post(
        "/replay",
        summary="Send many deliveries again",
        responses=responses(400, 401, 403, 408, 413, 415, 422, 503),
        openapi_extra=json_body(
            ReplayMany.model_json_schema(),
            {"state": "failed", "since": "2026-05-01T08:30:00Z", "dry_run": True},
        ),
    )(doing.replay_many)
    routes.get(
        "/{delivery_id}",
        summary="One delivery, with its log",
        responses=responses(401, 403, 404, 422, 503),
    )(doing.show)
    routes.post(
        "/{delivery_id}/replay",
        summary="Send a delivery again",
        responses=responses(401, 403, 404, 422, 503),
    )(doing.replay)
    return routes


class Deliveries:
    """Handle the routes of deliveries, one method each."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._database = services.database

    def page(
        self,
        response: Response,
        caller: Reader,
        *,
        state: Annotated[DeliveryState | None, Query(description="Only in this state.")] = None,
        event: Annotated[str | None, Query(pattern=EVENT, description="Only of this.")] = None,
        since: Annotated[Since | None, Query(description="Of ends then or later.")] = None,
        job: Annotated[UUID | None, Query(description="Only of this job.")] = None,
        batch: Annotated[UUID | None, Query(description="Of this batch or its jobs.")] = None,
        limit: Annotated[
            int, Query(ge=1, le=MAX_PAGE_DELIVERIES, description="Deliveries on a page.")
        ] = 50,
        cursor: Annotated[
            str | None, Query(max_length=200, description="From the `next` of a page.")
        ] = None,
    ) -> DeliveryPage:
        """Lists deliveries; each page costs the same however many precede it.

        `Link` gives the next page. Pending deliveries are an exception: all of them are scanned.
        With `event`, those in between are scanned too.
        """
        states = frozenset() if state is None else frozenset({state})
        filters = DeliveryFilter(caller.owner, states, since, event, job, batch)
        before = None if cursor is None else read_cursor(cursor)
        found = list_deliveries(self._database, filters, before=before, limit=limit + 1)
        views = [DeliveryView.of(each) for each in found[:limit]]
        if len(found) <= limit:
            return DeliveryPage(deliveries=views, next=None)
        last = found[limit - 1]
        shown = {
            "state": state,
            "event": event,
            "since": since,
            "job": job,
            "batch": batch,
            "limit": limit,
        }
        cursor_after = Cursor(last.created_at, last.id)
        following = next_path("/v1/webhooks/deliveries", shown, cursor_after)
        response.headers.update(next_link(following))
        return DeliveryPage(deliveries=views, next=following)

    def show(self, delivery_id: DeliveryId, caller: Reader) -> LoggedDeliveryView:
        """Returns a delivery's state and the result of each attempt."""
        delivery = own_delivery(self._database, caller, delivery_id)
        return LoggedDeliveryView.with_log(delivery, delivery_log(self._database, delivery.id))

    def replay(self, delivery_id: DeliveryId, caller: Admin) -> DeliveryView:
        """Sends a delivery again now, unchanged; one that is being sent now is left alone."""
        delivery = own_delivery(self._database, caller, delivery_id)
        replay_deliveries(self._database, [delivery.id], owner=caller.owner)
        return DeliveryView.of(find_delivery(self._database, delivery.id) or delivery)

    async def replay_many(self, request: Request, caller: Admin) -> ReplayCounts:
        """Sends deliveries again: those listed in `ids`, or all that match the filters."""
        timeout_s = self._services.settings.limits.body_timeout_s
        form = await read_bulk(request, ReplayMany, timeout_s=timeout_s)
        return await run_in_threadpool(self._replay_many, form, caller)

    def _replay_many(self, form: ReplayMany, caller: Caller) -> ReplayCounts:
        deliveries: NamedDeliveries | SelectedDeliveries
        if form.ids is not None:
            named = find_deliveries(self._database, form.ids, owner=caller.owner)
            deliveries, as_of = named, None
        else:
            states = frozenset() if form.state is None else frozenset({form.state})
            filters = DeliveryFilter(
                caller.owner, states, form.since, form.event, form.job, form.batch
            )
            deliveries = select_deliveries(self._database, filters, as_of=form.as_of)
            as_of = deliveries.as_of
        replay = BulkReplay(self._database, deliveries)
        if not form.dry_run:
            limit_s = None if form.ids else self._services.settings.limits.bulk_s
            run_for(limit_s, replay.steps())
        return ReplayCounts(dry_run=form.dry_run, as_of=as_of, **asdict(replay.result))
