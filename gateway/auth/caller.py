"""Define the caller of a request and the FastAPI dependencies that require a scope.

How a key becomes a caller is not decided here: `Services.authenticate` does it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL

from gateway.auth.loopback import is_loopback
from gateway.errors import Forbidden

__all__ = [
    "Admin",
    "Authenticate",
    "Caller",
    "Lookup",
    "Reader",
    "Scope",
    "Submitter",
    "anyone",
    "caller_of",
    "caller_with",
]

# For the OpenAPI document only; `Services.authenticate` reads the header itself.
_BEARER = HTTPBearer(auto_error=False, scheme_name="apiKey", description="`darkroom keys create`")


class Scope(StrEnum):
    """What a key allows."""

    # Submitting jobs, and cancelling and retrying the owner's own jobs.
    SUBMIT = "submit"

    # Reading the owner's own jobs and images.
    READ = "read"

    # Operations beyond jobs: deleting jobs, replaying deliveries, having a callback task sent.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """A caller with a valid key, or one that needs no key.

    Attributes:
        owner: the owner whose jobs the caller can read and change; all other jobs are invisible.
        scopes: what the key allows.
        is_keyless: whether the caller was accepted without a key because it is on this machine.
    """

    owner: str
    scopes: frozenset[Scope]
    is_keyless: bool = False

    @property
    def may_read(self) -> bool:
        """Whether prompts, images and links may be shown."""
        return Scope.READ in self.scopes


Lookup = Callable[[], Caller]
"""Read the table of keys and return the caller; raises `Unauthenticated`."""

Authenticate = Callable[[str | None], Caller | Lookup]
"""Turn an `Authorization` header into a caller, or into the look-up that returns it.

It never waits, so it runs on the event loop; the look-up runs in a thread. It raises
`Unauthenticated`.
"""


def anyone(authorization: str | None) -> Caller:
    """Accept every caller, for a gateway without keys, which listens on its own machine only."""
    del authorization
    return Caller(owner="default", scopes=frozenset(Scope), is_keyless=True)


def _refuse_pages(request: Request) -> None:
    """Refuse requests that a browser may have sent on behalf of a web page.

    A caller without a key is on this machine, and so are browsers, which run pages from anywhere. A
    page may send requests to any address and port. A host name under the page's control may also
    resolve to this machine, and then the page may send any header. So no header that is present
    proves that the caller is not a page.
    """
    server = request.scope.get("server")
    if "origin" in request.headers or not _is_for_loopback(request.headers.get("host"), server):
        raise Forbidden("without an API key the gateway answers programs on its own machine only")


@lru_cache(maxsize=64)  # few hosts are asked for, and to parse one takes 0.1 ms
def _is_for_loopback(host: str | None, server: tuple[str, int | None] | None) -> bool:
    """Return whether a request's host, or else the address that it came to, is this machine."""
    headers = [] if host is None else [(b"host", host.encode("latin-1"))]
    scope = {"scheme": "http", "server": server, "path": "/", "headers": headers}
    return is_loopback(URL(scope=scope).hostname or "")


def caller_with(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return a FastAPI dependency that returns the caller if its key has this scope.

    The dependency raises `Unauthenticated` and `Forbidden`.
    """

    async def caller(
        request: Request,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
    ) -> Caller:
        return await caller_of(request, scope)

    return caller


async def caller_of(request: Request, scope: Scope) -> Caller:
    """Return the caller of a request if its key has this scope.

    Raises:
        Unauthenticated: the key is missing or invalid.
        Forbidden: the key lacks the scope, or a web page may have sent the request.
        DatabaseUnavailable: the keys cannot be read.
    """
    authenticate: Authenticate = request.app.state.services.authenticate
    known = authenticate(request.headers.get("authorization"))
    # A key that is cached, as nearly all are, costs no thread: that is 0.2 ms of a request.
    found = known if isinstance(known, Caller) else await run_in_threadpool(known)
    if found.is_keyless:
        _refuse_pages(request)
    if scope not in found.scopes:
        raise Forbidden(f"it takes a key with the scope {scope}")
    return found


Reader = Annotated[Caller, Depends(caller_with(Scope.READ))]
Submitter = Annotated[Caller, Depends(caller_with(Scope.SUBMIT))]
Admin = Annotated[Caller, Depends(caller_with(Scope.ADMIN))]
