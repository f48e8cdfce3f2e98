"""Who is asking, and what they may do: what every route knows of a caller, and no more.

How a key becomes a caller is not decided here: `Services.authenticate` does it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Protocol

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from gateway.auth.loopback import is_loopback
from gateway.errors import Forbidden

__all__ = ["Authenticate", "Caller", "Scope", "anyone", "caller_with"]

# For the OpenAPI document; the header itself is read by `Services.authenticate`.
_BEARER = HTTPBearer(auto_error=False, scheme_name="apiKey", description="`darkroom keys create`")


class Scope(StrEnum):
    """What a key may be good for."""

    # Handing in jobs, and cancelling and retrying one's own.
    SUBMIT = "submit"

    # Looking at one's own jobs and pictures.
    READ = "read"

    # What reaches further than jobs: forgetting, replaying deliveries, having a task sent.
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose key was good, or who needs none.

    Attributes:
        owner: whose jobs they see and touch; all others do not exist for them.
        scopes: what the key allows.
        is_keyless: they were let in for being on this machine, whatever they sent.
    """

    owner: str
    scopes: frozenset[Scope]
    is_keyless: bool = False

    @property
    def may_read(self) -> bool:
        """Whether prompts, pictures and links may be shown."""
        return Scope.READ in self.scopes


class Authenticate(Protocol):
    """Turns an `Authorization` header into a caller."""

    def __call__(self, authorization: str | None) -> Caller:
        """Find out who it is.

        Raises:
            Unauthenticated: nobody we know.
        """


def anyone(authorization: str | None) -> Caller:
    """Whoever reaches a gateway that has no keys: it listens on its own machine only."""
    del authorization
    return Caller(owner="default", scopes=frozenset(Scope), is_keyless=True)


def _refuse_pages(request: Request) -> None:
    """Whoever needs no key is on this machine; and so are browsers, with anybody's pages in them.

    A page may send requests to any address and port, and a name of its own may point here: then
    it may send any header as well, so none that is there says that the caller is no page.
    """
    if "origin" in request.headers or not is_loopback(request.url.hostname or ""):
        raise Forbidden("without an API key the gateway answers programs on its own machine only")


def caller_with(scope: Scope) -> Callable[..., Caller]:
    """A FastAPI dependency: the caller, if their key has this scope.

    It raises `Unauthenticated` and `Forbidden`.
    """

    # A plain function, as the key is looked up in the table: FastAPI gives it a thread.
    def caller(
        request: Request,
        _documented: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
    ) -> Caller:
        authenticate: Authenticate = request.app.state.services.authenticate
        found = authenticate(request.headers.get("authorization"))
        if found.is_keyless:
            _refuse_pages(request)
        if scope not in found.scopes:
            raise Forbidden(f"it takes a key with the scope {scope}")
        return found

    return caller
