"""Switch fast paths off in a benchmark's worker process, so that each leaves all to its fallback.

This is no setting of the product: `switch_off` runs in the worker's process before its command
begins, and replaces one attribute for each path. The docstring of a path's module says what the
path does, its gain and its fallback.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["FAST_PATHS", "FastPath", "switch_off"]


@dataclass(frozen=True, slots=True)
class FastPath:
    """A fast path, and how to switch it off.

    Attributes:
        name: in the table.
        module: its module, or the package that holds nothing else.
        owner: the module, and after a colon the class, whose attribute is replaced.
        attribute: its name.
        plain: the value in its place.
    """

    name: str
    module: str
    owner: str
    attribute: str
    plain: Any


def _no_open_connection(*_: object, **__: object) -> None:
    """Answer for `over_open_connection`: urllib3 makes the exchange."""


def _not_stored(*_: object, **__: object) -> bool:
    """Answer for the signed put: `put_object` makes the put."""
    return False


def _no_choice(*_: object, **__: object) -> None:
    """Answer for the choice of a core: the kernel places the threads."""


FAST_PATHS = (
    FastPath(
        "short HTTP reader",
        module="http1",
        owner="http1.exchange",
        attribute="over_open_connection",
        plain=_no_open_connection,
    ),
    FastPath(
        "signed put",
        module="storage.objects.fast_put",
        owner="storage.objects.fast_put:SignedPut",
        attribute="put",
        plain=_not_stored,
    ),
    FastPath(
        "spool files written over",
        module="storage.spool.recycled_files",
        owner="storage.spool.spool",
        attribute="SPARED_BYTES",
        plain=0,
    ),
    FastPath(
        "memory cache",
        module="tasks.storing.picture_cache",
        owner="tasks.storing.uploader",
        attribute="CACHE_BYTES",
        plain=0,
    ),
    FastPath(
        "threads on one core",
        module="workers.cpu_affinity",
        owner="workers.cpu_affinity:CpuAffinity",
        attribute="look",
        plain=_no_choice,
    ),
)


def switch_off(names: Sequence[str], replace: Callable[[Any, str, Any], object] = setattr) -> None:
    """Switch paths off in this process.

    Args:
        names: of the paths.
        replace: sets an attribute of an object.

    Raises:
        AttributeError: a path's attribute no longer exists, so the path would stay on.
        KeyError: there is no path of this name.
    """
    known = {path.name: path for path in FAST_PATHS}
    for path in [known[name] for name in names]:
        module, _, member = path.owner.partition(":")
        owner: Any = importlib.import_module(module)
        owner = getattr(owner, member) if member else owner
        getattr(owner, path.attribute)
        replace(owner, path.attribute, path.plain)
