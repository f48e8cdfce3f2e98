"""Build the gateway from settings; only this file imports all of its parts.

A new part of the HTTP contract is one more name in `ROUTERS`.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Final

from fastapi import APIRouter, FastAPI

from darkroom.errors import UserError
from darkroom.settings import Settings, environment, variable
from darkroom.wiring.factory import Wiring
from darkroom.wiring.fault_paths import load_fault_paths
from darkroom.wiring.notices import announce_ends
from gateway import health
from gateway.app import make_gateway
from gateway.auth.caller import Authenticate
from gateway.auth.intake_limits import OwnerLimits
from gateway.auth.keys import KeyHolders
from gateway.auth.loopback import is_loopback
from gateway.auth.rates import Rates
from gateway.batches import routes as batches
from gateway.deliveries import routes as deliveries
from gateway.ended_subscriber import EndedSubscriber
from gateway.hooks.config import Hooks, load_hooks
from gateway.hooks.errors import HooksFileFaulty
from gateway.hooks.route import router as hooks_router
from gateway.job_watcher import Watch
from gateway.jobs import cancel, events, retry
from gateway.jobs import delete as forget
from gateway.jobs import routes as jobs
from gateway.services import GatewayLimits, GatewaySettings, Services

__all__ = ["ROUTERS", "GatewayWiring"]

#: Every part of the gateway.
ROUTERS: Final[tuple[Callable[[Services], APIRouter], ...]] = (
    health.router,
    jobs.router,
    cancel.router,
    forget.router,
    retry.router,
    events.router,
    batches.router,
    deliveries.router,
)


class GatewayWiring(Wiring):
    """What a gateway process needs, built on first use."""

    def __init__(self, settings: Settings) -> None:
        load_fault_paths()
        super().__init__(settings)
        self.routers = ROUTERS

    @cached_property
    def authenticate(self) -> Authenticate:
        """Return the check of the caller's API key; without keys, every local caller is allowed."""
        is_local = is_loopback(self.settings.gateway_host)
        return KeyHolders(self.database, open_until_keys=is_local).recall

    @cached_property
    def owners(self) -> OwnerLimits:
        """Return the limits on what each owner may submit."""
        namespace, processes = self.settings.namespace, self.settings.gateway_processes
        rates = Rates(self.limits_redis, namespace=namespace, processes=processes)
        return OwnerLimits(self.database, rates, processes=processes)

    @cached_property
    def limits(self) -> GatewayLimits:
        """Return the limits of this process."""
        settings = self.settings
        return GatewayLimits(
            max_body_bytes=settings.gateway_max_body_bytes,
            max_batch_bytes=settings.gateway_max_batch_bytes,
            body_timeout_s=settings.gateway_body_timeout_s,
            threads=settings.gateway_threads,
        ).divided_by(settings.gateway_processes)

    @cached_property
    def services(self) -> Services:
        """Return the services that the routes use."""
        settings = self.settings
        announce_ends(self)
        self.intake.groups.divide_queues_by(settings.gateway_processes)
        return Services(
            database=self.database,
            intake=self.intake,
            objects=self.open_bucket,
            authenticate=self.authenticate,
            owners=self.owners,
            watch=Watch(self.database, max_watchers=self.limits.max_watchers),
            settings=GatewaySettings(
                key_prefix=self.key_prefix,
                url_expires_s=settings.s3_url_expires_s,
                max_calls_per_job=settings.max_calls_per_job,
                limits=self.limits,
            ),
        )

    @cached_property
    def hooks(self) -> Hooks:
        """Return the incoming webhooks by name; empty if the settings name no file."""
        file = self.settings.hooks_file
        if file is None:
            return {}
        try:
            return load_hooks(file, environment=environment(), limits=self.request_limits)
        except HooksFileFaulty as error:
            faults = "; ".join(map(str, error.faults))
            raise UserError(f"{variable('hooks_file')}={file}: {faults}") from None

    @cached_property
    def gateway(self) -> FastAPI:
        """Return the ASGI app."""
        parts = [part(self.services) for part in self.routers]
        routers = [*parts, hooks_router(self.services, self.hooks)]
        subscriber = self.ended_subscriber
        beside = [] if subscriber is None else [subscriber.running]
        return make_gateway(self.services, routers, beside=beside)

    @cached_property
    def ended_subscriber(self) -> EndedSubscriber | None:
        """Return what hears of ended jobs; None without the Redis of the limits."""
        if self.limits_redis is None:
            return None
        namespace, watch = self.settings.namespace, self.services.watch
        return EndedSubscriber(self.limits_redis, namespace=namespace, watch=watch)
