"""Parse and check a whole task message before Celery uses it.

Celery does not check messages. A header of the wrong type, or a body of another shape, raises at
its first use, in the consumer's event loop or in a pool thread. So each message is checked here
once. The fields that the fleet's tasks need are extracted with known types, and Celery gets only
these. Headers that the fleet does not use (`group`, `root_id`, `stamps`, …) are ignored.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tasks.messages.body import check_size
from tasks.messages.fault import MessageFault

__all__ = ["OUR_TASKS", "NewerTask", "TaskMessage", "read_message"]

#: The prefix of the names of the fleet's tasks, in every release.
OUR_TASKS: Final = "darkroom."

#: Fields with lists of Celery's signatures: tasks to send after the task has succeeded.
_SIGNATURES: Final = ("callbacks", "chain")

_TIME_LIMITS: Final = 2


class NewerTask(Exception):
    """The message is for a `darkroom.*` task that only a newer release may have."""


@dataclass(frozen=True, slots=True)
class TaskMessage:
    """Holds the checked fields of a message.

    Attributes:
        eta: the earliest start.
        expires: the latest start.
        signatures: Celery's `callbacks` and `chain`, if present.
    """

    task: str
    task_id: str
    args: list[Any]
    kwargs: dict[str, Any]
    eta: datetime | None = None
    expires: datetime | None = None
    signatures: Mapping[str, list[Any]] = field(default_factory=dict)


def read_message(
    headers: object, body: object, decode: Callable[[], object], *, known: Collection[str]
) -> TaskMessage:
    """Parse a message of Celery's protocol 2 or 1.

    Args:
        headers: the message's headers.
        body: the decoded body, as bytes.
        decode: parses the body; may raise anything.
        known: the names of this release's tasks.

    Raises:
        NewerTask: the task may be one of a later release; the body was not parsed.
        MessageFault: the message is invalid.
        MemoryError: there was not enough memory to parse it.
    """
    if not isinstance(headers, Mapping):
        raise MessageFault("headers", type(headers).__name__)
    if "task" not in headers:
        return _protocol_1(headers, _parsed(body, decode), known)
    _check_task(headers["task"], known)
    content = _parsed(body, decode)
    if isinstance(content, Mapping) and "args" in content:  # Celery 3.1 mixes both protocols
        return _message(headers, content.get("args"), content.get("kwargs"), content)
    if not isinstance(content, (list, tuple)) or len(content) != 3:  # noqa: PLR2004 - as in the protocol
        raise MessageFault("shape", type(content).__name__)
    args, kwargs, embed = content
    return _message(headers, args, kwargs, embed)


def _protocol_1(headers: Mapping[Any, Any], content: object, known: Collection[str]) -> TaskMessage:
    if not isinstance(content, Mapping) or "task" not in content:
        raise MessageFault("task", type(content).__name__)
    _check_task(content["task"], known)
    fields = {**content, **headers}
    return _message(fields, fields.get("args", []), fields.get("kwargs", {}), fields)


def _check_task(name: object, known: Collection[str]) -> None:
    if not isinstance(name, str):
        raise MessageFault("task", type(name).__name__)
    if name not in known:
        if name.startswith(OUR_TASKS):
            raise NewerTask
        raise MessageFault("task", "NotRegistered")


def _parsed(body: object, decode: Callable[[], object]) -> object:
    if isinstance(body, bytes):
        check_size(body)
    try:
        return decode()
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a parser may raise anything on foreign bytes
        raise MessageFault("body", type(error).__name__) from None


def _message(fields: Mapping[Any, Any], args: object, kwargs: object, embed: object) -> TaskMessage:
    task_id = fields.get("id")
    if not isinstance(task_id, str):
        raise MessageFault("id", type(task_id).__name__)
    if not isinstance(args, (list, tuple)):
        raise MessageFault("args", type(args).__name__)
    if not isinstance(kwargs, dict):
        raise MessageFault("kwargs", type(kwargs).__name__)
    _check_numbers(fields)
    return TaskMessage(
        task=str(fields["task"]),
        task_id=task_id,
        args=list(args),
        kwargs=kwargs,
        eta=_time(fields, "eta"),
        expires=_time(fields, "expires"),
        signatures=_signatures(embed),
    )


def _check_numbers(fields: Mapping[Any, Any]) -> None:
    retries, limits = fields.get("retries"), fields.get("timelimit")
    if retries is not None and not isinstance(retries, int):
        raise MessageFault("retries", type(retries).__name__)
    if not limits:
        return
    if not isinstance(limits, (list, tuple)) or len(limits) != _TIME_LIMITS:
        raise MessageFault("timelimit", type(limits).__name__)
    if not all(limit is None or isinstance(limit, (int, float)) for limit in limits):
        raise MessageFault("timelimit", "TypeError")


def _time(fields: Mapping[Any, Any], name: str) -> datetime | None:
    value = fields.get(name)
    if value is None:
        return None
    try:
        time = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as error:
        raise MessageFault(name, type(error).__name__) from None


def _signatures(embed: object) -> dict[str, list[Any]]:
    if not embed:
        return {}
    if not isinstance(embed, Mapping):
        raise MessageFault("embed", type(embed).__name__)
    for name in ("chord", "errbacks"):
        if embed.get(name) is not None and not isinstance(embed[name], (dict, list)):
            raise MessageFault(name, type(embed[name]).__name__)
    found = {name: embed[name] for name in _SIGNATURES if embed.get(name)}
    for name, signatures in found.items():
        if not isinstance(signatures, list) or not all(map(_is_signature, signatures)):
            raise MessageFault(name, type(signatures).__name__)
    return found


def _is_signature(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("task"), str)
        and isinstance(value.get("args", []), (list, tuple))
        and isinstance(value.get("kwargs", {}), dict)
        and isinstance(value.get("options", {}), dict)
    )
