"""Whether this process lives, and whether it can serve: for load balancers, without a key.

What is in the way is said in a word; addresses and reasons are the log's.
"""

from fastapi import APIRouter

from gateway.http.problems import responses
from gateway.services import Services
from storage.migrations.migrate import check_schema

__all__ = ["router"]


def router(services: Services) -> APIRouter:
    """`/healthz` and `/readyz`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz", summary="The process answers")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @routes.get(
        "/readyz",
        summary="The results table answers, and is of this release",
        responses=responses(503),
    )
    def readyz() -> dict[str, str]:
        check_schema(services.database)
        return {"status": "ready"}

    return routes
