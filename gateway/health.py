"""Report whether this process is alive and whether it can serve, for load balancers, without a key.

A failing check is reported by name only; addresses and reasons go to the log.
"""

from fastapi import APIRouter

from gateway.http.problems import responses
from gateway.services import Services
from storage.migrations.migrate import check_schema

__all__ = ["router"]


def router(services: Services) -> APIRouter:
    """Return the routes `/healthz` and `/readyz`."""
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
