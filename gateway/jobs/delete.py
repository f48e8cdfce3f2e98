"""Forgetting over HTTP: a job goes for good, and its caller gets what is left of it.

It takes the scope `admin`, as nothing brings it back. Sent again it has the same answer, so that a
caller whose connection broke may do so. The row goes at once; its objects are deleted by the
workers, within seconds where the bucket is there, and the answer says how many are left.
"""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field

from gateway.auth.caller import Caller, Scope, caller_with
from gateway.auth.owned import own_job
from gateway.errors import StillLoading, UnderWay
from gateway.http.paging import known_parameters_once
from gateway.http.problems import responses
from gateway.services import Services
from gateway.views.tombstone import TombstoneView
from storage.errors import JobForgotten
from storage.records.tombstone import Tombstone
from storage.retention.delete import forget_jobs
from storage.retention.tombstones import find_tombstone, objects_left

__all__ = ["router"]


class Forgotten(BaseModel):
    """What is left of a job."""

    tombstone: TombstoneView
    objects_left: int = Field(description="Objects that are still to be deleted; workers do it.")


def router(services: Services) -> APIRouter:
    """The route that forgets."""
    routes = APIRouter(
        prefix="/v1/jobs", tags=["jobs"], dependencies=[Depends(known_parameters_once)]
    )
    routes.delete(
        "/{job_id}",
        summary="Forget a job",
        responses=responses(401, 403, 404, 409, 422, 503),
    )(Forgetting(services).one)
    return routes


class Forgetting:
    """The route's doing."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._key_prefix = services.key_prefix

    def one(
        self,
        job_id: Annotated[str, Path(description="The job's id.")],
        caller: Annotated[Caller, Depends(caller_with(Scope.ADMIN))],
    ) -> Forgotten:
        """Deletes all that is of it: request, picture, webhooks; one that waits is cancelled."""
        try:
            job = own_job(self._database, caller, job_id)
        except JobForgotten as before:
            return self._told(before.tombstone)
        done = forget_jobs(self._database, [job.id], key_prefix=self._key_prefix)
        if done.under_way:
            raise UnderWay("a call is under way: cancel it, and forget it when it has ended")
        if done.loading:
            raise StillLoading("its batch is still being handed in; forget it after that")
        stone = find_tombstone(self._database, job.id)
        if stone is None:  # somebody deleted the row by hand
            own_job(self._database, caller, job_id)
            raise UnderWay("it changed meanwhile; ask again")
        return self._told(stone)

    def _told(self, stone: Tombstone) -> Forgotten:
        left = objects_left(self._database, stone.id)
        return Forgotten(tombstone=TombstoneView.of(stone), objects_left=left)
