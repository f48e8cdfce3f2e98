"""Build the ASGI app: combine the packages' routers with the rules that apply to every request.

Each route package (`jobs/routes.py`, `jobs/events.py`, …) exports `router(services)`. This module
adds what applies to all routes. Errors become problem documents. Responses are neither cached nor
sniffed. The log gets one line per request with the path, without the query, and never with a body.
"""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Final

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import Busy
from gateway.http.openapi import describe
from gateway.http.problems import handle_problems, problem, problem_of
from gateway.http.request_headers import CheckHeaders
from gateway.services import Services

__all__ = ["RequestLogMiddleware", "make_gateway"]

log = logging.getLogger(__name__)

MAX_LOGGED_PATH_CHARS: Final = 200


def make_gateway(
    services: Services,
    routers: Sequence[APIRouter],
    *,
    beside: Sequence[Callable[[], AbstractAsyncContextManager[None]]] = (),
) -> FastAPI:
    """Build the gateway's app.

    Args:
        services: what the routes work with; also available at `app.state.services`.
        routers: the route packages' routers.
        beside: what runs while the app serves.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        threads = services.settings.limits.threads
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        async with AsyncExitStack() as stack:
            for part in beside:
                await stack.enter_async_context(part())
            yield
            services.watch.stop()

    app = FastAPI(
        title="Darkroom",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    handle_problems(app)
    describe(app)
    app.add_middleware(CheckHeaders)
    app.add_middleware(RequestLogMiddleware)
    for router in routers:
        app.include_router(router)
    return app


class RequestLogMiddleware:
    """Wrap every request: log one line, add security headers, hide details of unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_s = time.monotonic()
        status: int | None = None

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("X-Content-Type-Options", "nosniff")
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            # When the shutdown timeout ends, uvicorn cancels what is still running and would answer
            # 500. Whatever happened to the request, its idempotency key makes another attempt safe.
            if status is not None:
                raise
            await problem_of(Busy("this gateway is being stopped"))(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 - an unexpected error must reveal nothing to the caller
            _log_bug(error)
            if status is None:
                await _sorry()(scope, receive, sending)
        finally:
            took_ms = round((time.monotonic() - began_s) * 1000)
            log.info(
                "%s %s %s",
                scope["method"],
                _path(scope),
                status or "-",
                extra={"took_ms": took_ms},
            )


def _path(scope: Scope) -> str:
    """Return the path as received, without its query.

    It is percent-encoded, so it cannot break a log line.
    """
    raw: bytes = scope.get("raw_path") or b"?"
    return raw.partition(b"?")[0][:MAX_LOGGED_PATH_CHARS].decode("ascii", "backslashreplace")


def _log_bug(error: Exception) -> None:
    """Log where the error happened, without its message, which may quote a request."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("a request met a bug: %s\n%s", type(error).__name__, where)


def _sorry() -> ASGIApp:
    detail = "the gateway met a fault of its own; its log says more"
    return problem(500, "internal", "Something is wrong with the gateway", detail)
