"""Delete a job over HTTP, and return its tombstone.

The route needs the scope `admin`, because a deletion cannot be undone. Repeating the request
returns the same response, so a caller whose connection broke may repeat it. The row is deleted at
once. Its objects are deleted by the workers, within seconds if the bucket is reachable, and the
response says how many remain.
"""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from gateway.auth.caller import Admin
from gateway.auth.owned import JobId, own_job
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
    """What remains of a job."""

    tombstone: TombstoneView
    objects_left: int = Field(description="Objects that are still to be deleted; workers do it.")


def router(services: Services) -> APIRouter:
    """Return the route that deletes."""
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
    """Handle the route that deletes."""

    def __init__(self, services: Services) -> None:
        self._database = services.database
        self._key_prefix = services.settings.key_prefix

    def one(self, job_id: JobId, caller: Admin) -> Forgotten:
        """Deletes all data of a job: request, image, webhooks; a queued job is cancelled first."""
        try:
            job = own_job(self._database, caller, job_id)
        except JobForgotten as before:
            return self._answer(before.tombstone)
        done = forget_jobs(self._database, [job.id], key_prefix=self._key_prefix)
        if done.under_way:
            raise UnderWay("a call is under way: cancel it, and forget it when it has ended")
        if done.loading:
            raise StillLoading("its batch is still loading; forget the job when it is loaded")
        stone = find_tombstone(self._database, job.id)
        if stone is None:  # another process deleted the row directly
            own_job(self._database, caller, job_id)
            raise UnderWay("it changed meanwhile; ask again")
        return self._answer(stone)

    def _answer(self, stone: Tombstone) -> Forgotten:
        left = objects_left(self._database, stone.id)
        return Forgotten(tombstone=TombstoneView.of(stone), objects_left=left)
