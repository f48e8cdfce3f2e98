"""The gateway built from settings: the one place that knows all of its parts.

A new part of the HTTP contract is one more name in `ROUTERS`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

from fastapi import APIRouter, FastAPI

from darkroom.settings import Settings
from darkroom.wiring import Wiring
from gateway import (
    Authenticate,
    GatewayLimits,
    Services,
    Watch,
    anyone,
    health,
    make_gateway,
)

__all__ = ["ROUTERS", "GatewayWiring"]

#: Every part of the gateway.
ROUTERS: Final[tuple[Callable[[Services], APIRouter], ...]] = (health.router,)


class GatewayWiring(Wiring):
    """What a gateway process needs, built on first use."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.routers = ROUTERS

    @cached_property
    def authenticate(self) -> Authenticate:
        """Who is asking."""
        return anyone

    @cached_property
    def limits(self) -> GatewayLimits:
        """Bounds of this process."""
        settings = self.settings
        return GatewayLimits(
            max_body_bytes=settings.gateway_max_body_bytes,
            threads=settings.gateway_threads,
        )

    @cached_property
    def services(self) -> Services:
        """What the routes work with."""
        settings = self.settings
        return Services(
            database=self.database,
            intake=self.intake,
            objects=lambda: self.objects,
            authenticate=self.authenticate,
            watch=Watch(self.database, max_watchers=self.limits.max_watchers),
            url_expires_s=settings.s3_url_expires_s,
            max_calls_per_job=settings.max_calls_per_job,
            limits=self.limits,
        )

    @cached_property
    def gateway(self) -> FastAPI:
        """The ASGI app."""
        return make_gateway(self.services, [part(self.services) for part in self.routers])
