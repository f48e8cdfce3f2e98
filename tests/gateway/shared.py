"""One running server for many tests, though what its routes work with is each test's own.

To build the app and to serve it costs several times what most tests then ask of it. So the app is
built over stand-ins that lead to the services which are on now: database, intake, limits, watch
and callers are as new in each test as they would be with a server of its own.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from darkroom.wiring.gateway import GatewayWiring
from gateway.auth.caller import Caller, Lookup
from gateway.server import Server
from gateway.services import Services
from storage.objects.store import ObjectStore
from tests.gateway.running import served
from tests.waiting import wait_until

__all__ = ["SharedServers"]


class StandIn:
    """Has the attributes of a part of the services that are on now."""

    def __init__(self, part: Callable[[], Any]) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part(), name)


class SharedServer:
    """A server whose services are exchanged.

    Args:
        like: a wiring whose routers and settings are those of all that will be on; they differ in
            what is behind the services.

    Attributes:
        url: where it listens; set while it runs.
    """

    url: str

    def __init__(self, like: GatewayWiring) -> None:
        self._now = like.services
        built = GatewayWiring(like.settings)
        built.routers = like.routers
        built.services = self._stand_ins()
        self._server = Server(built.gateway)

    def _stand_ins(self) -> Services:
        part: Any = StandIn
        return replace(
            self._now,
            database=part(lambda: self._now.database),
            intake=part(lambda: self._now.intake),
            owners=part(lambda: self._now.owners),
            watch=part(lambda: self._now.watch),
            objects=self._objects,
            authenticate=self._authenticate,
        )

    def _objects(self) -> ObjectStore:
        return self._now.objects()

    def _authenticate(self, authorization: str | None) -> Caller | Lookup:
        return self._now.authenticate(authorization)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve until the block ends."""
        with served(self._server) as self.url:
            yield

    @contextmanager
    def on(self, services: Services) -> Iterator[str]:
        """Let it work with these services until the block ends, and the last request with it."""
        self._now = services
        yield self.url
        services.watch.stop()
        wait_until(lambda: not self._server.server_state.tasks)


class SharedServers:
    """One server for each choice of routers.

    Args:
        stack: stops them at its end.
    """

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._servers: dict[object, SharedServer] = {}

    @contextmanager
    def serving(self, wiring: GatewayWiring) -> Iterator[str]:
        """Serve with this wiring's routers and services; the address."""
        server = self._servers.get(wiring.routers)
        if server is None:
            server = self._servers[wiring.routers] = SharedServer(wiring)
            self._stack.enter_context(server.running())
        with server.on(wiring.services) as url:
            yield url
