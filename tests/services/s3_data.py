"""What botocore reads and works out for each client, once.

Its description of S3 is two megabytes of JSON, and each session of the library parses them anew;
then each inspects the signature of every handler that it registers, and looks for aliases in every
name of an event. That is most of what a client costs: some 60 ms of computing, of which 8 remain.
One reader serves all sessions of a tester, and of what is forked from a process that has imported
this.
"""

from collections.abc import Callable
from functools import cache
from types import FunctionType
from typing import Any

import botocore.hooks
import botocore.session
from botocore.loaders import Loader, create_loader

__all__ = ["share_data"]

_WHAT_A_CLIENT_READS = ("endpoints", "partitions", "sdk-default-configuration", "_retry")


def share_data() -> None:
    """Have every session read from one loader, which has read what S3 takes already."""
    shared = cache(create_loader)
    loader: Loader = shared(None)
    for name in _WHAT_A_CLIENT_READS:
        loader.load_data(name)
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("s3", kind)
    botocore.session.create_loader = shared
    hooks: Any = botocore.hooks
    hooks.accepts_kwargs = _remembering(hooks.accepts_kwargs)
    hooks.EventAliaser.__init__ = _with_one_cache(hooks.EventAliaser.__init__)


def _remembering(inspect: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Inspect a function of a module once; what belongs to one client is not kept alive."""
    known: dict[FunctionType, bool] = {}

    def accepts_kwargs(handler: Any) -> bool:
        if not isinstance(handler, FunctionType) or "<locals>" in handler.__qualname__:
            return inspect(handler)
        if handler not in known:
            known[handler] = inspect(handler)
        return known[handler]

    return accepts_kwargs


def _with_one_cache(begin: Callable[..., None]) -> Callable[..., None]:
    """Give all that have botocore's own aliases one memory of names that were looked up."""
    names: dict[str, str] = {}

    def begin_with_it(self: Any, event_emitter: Any, event_aliases: Any = None) -> None:
        begin(self, event_emitter, event_aliases)
        if self._event_aliases == botocore.hooks.EVENT_ALIASES:
            self._alias_name_cache = names

    return begin_with_it
