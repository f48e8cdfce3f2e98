"""Malformed messages: over sixty shapes, on Redis and RabbitMQ.

Each is a valid `darkroom.submit` message with one fault. Its body contains a mark, so that logs can
be searched for text that must not appear in them.
"""

import bz2
import json
import lzma
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from tasks.messages.body import MAX_BODY_BYTES

__all__ = ["ABSENT", "MARK", "SHAPES", "Shape", "deep"]

#: Part of the prompt of each message here; no log line may contain it.
MARK = "mark-of-a-prompt"

REQUEST: Mapping[str, Any] = {"prompt": f"{MARK} a fox", "width": 64, "height": 64}
BODY = [[], {"request": dict(REQUEST)}, {"callbacks": None, "errbacks": None, "chain": None}]
#: Removes a field.
ABSENT = object()

#: Stands for the job id in a body of protocol 1.
_ITS_ID = "its-id"


@dataclass(frozen=True)
class Shape:
    """One fault of a message.

    Attributes:
        name: the fault's name.
        headers: override the valid ones; `ABSENT` removes one.
        body: the whole body, or a function that makes it; sent as JSON unless it is bytes.
        envelope: overrides fields of the Redis envelope; None if the broker has none.
        leaves_row: whether a row records the rejection, because the id could be read.
    """

    name: str
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Any = field(default_factory=lambda: BODY)
    content_type: Any = "application/json"
    content_encoding: Any = "utf-8"
    envelope: Mapping[str, Any] | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    leaves_row: bool = True

    @property
    def is_for_redis_alone(self) -> bool:
        """Return whether RabbitMQ's protocol cannot express this fault."""
        return self.envelope is not None or not (
            isinstance(self.content_type, str) and isinstance(self.content_encoding, str)
        )

    def body_for(self, job_id: UUID) -> bytes:
        """Return the body as a producer would send it."""
        body = self.body() if callable(self.body) else self.body
        if isinstance(body, bytes):
            return body
        return json.dumps(body).replace(_ITS_ID, str(job_id)).encode()

    def headers_for(self, job_id: UUID) -> dict[str, Any]:
        """Return the headers, including their fault."""
        usual = {"lang": "py", "task": "darkroom.submit", "id": str(job_id), "retries": 0}
        every = {**usual, "timelimit": [None, None], **self.headers}
        return {name: value for name, value in every.items() if value is not ABSENT}


def deep(levels: int) -> bytes:
    """Return JSON that nests so deep."""
    return b"[" * levels + b"]" * levels


def _bomb(packer: Any) -> bytes:
    """Return a few kilobytes that decompress to more than a message may have."""
    pieces = [packer.compress(b" " * (1 << 20)) for _ in range(MAX_BODY_BYTES // (1 << 20) + 1)]
    return b"".join(pieces) + bytes(packer.flush())


def _with_embed(embed: object) -> list[Any]:
    return [[], {"request": dict(REQUEST)}, embed]


def _protocol_1(**more: Any) -> dict[str, Any]:
    whole = {"task": "darkroom.submit", "id": _ITS_ID, "args": [], "kwargs": {}, **more}
    return {name: value for name, value in whole.items() if value is not ABSENT}


_NO_TASK = {"task": ABSENT}
_NOTHING = {"task": ABSENT, "id": ABSENT}
_WHOLE = json.dumps(BODY).encode()

SHAPES: tuple[Shape, ...] = (
    # The body.
    Shape("an object", body={"request": dict(REQUEST)}),
    Shape("a list of one", body=[{"request": dict(REQUEST)}]),
    Shape("a list of two", body=BODY[:2]),
    Shape("a list of four", body=[*BODY, MARK]),
    Shape("null", body=None),
    Shape("a number", body=7),
    Shape("a text", body=MARK),
    Shape("true", body=True),
    Shape("empty", body=b""),
    Shape("not JSON", body=b"{" + MARK.encode()),
    Shape("not UTF-8", body=b"\xff\xfe" + MARK.encode()),
    Shape("UTF-16", body=json.dumps(BODY).encode("utf-16")),
    Shape("NUL bytes", body=b"\0" * 64),
    Shape("arguments as an object", body=[{"request": dict(REQUEST)}, {}, {}]),
    Shape("arguments as text", body=[MARK, {}, {}]),
    Shape("arguments as null", body=[None, {}, {}]),
    Shape("named arguments as a list", body=[[], [dict(REQUEST)], {}]),
    Shape("named arguments as null", body=[[], None, {}]),
    Shape("named arguments as text", body=[[], MARK, {}]),
    Shape("nested a thousand deep", body=deep(1000)),
    Shape("nested a hundred thousand deep", body=deep(100_000)),
    Shape("a hundred thousand values", body=[[0] * 100_000, {}, {}]),
    Shape("an unknown type of Kombu's", body=[{"__type__": "x", "__value__": MARK}, {}, {}]),
    Shape("a date of Kombu's that is none", body=[{"__type__": "date", "__value__": 5}, {}, {}]),
    Shape("a number of a million digits", body=b"[[" + b"9" * 1_000_000 + b"],{},{}]"),
    # The third element.
    Shape("a list third", body=_with_embed([MARK])),
    Shape("a text third", body=_with_embed(MARK)),
    Shape("a number third", body=_with_embed(7)),
    Shape("callbacks as a number", body=_with_embed({"callbacks": 7})),
    Shape("callbacks of numbers", body=_with_embed({"callbacks": [7]})),
    Shape("callbacks without a task", body=_with_embed({"callbacks": [{"args": [MARK]}]})),
    Shape("a chain as text", body=_with_embed({"chain": MARK})),
    Shape("a chain of lists", body=_with_embed({"chain": [[MARK]]})),
    Shape("a chord as text", body=_with_embed({"chord": MARK})),
    Shape("errbacks as text", body=_with_embed({"errbacks": MARK})),
    # The headers.
    Shape("no id", {"id": ABSENT}, leaves_row=False),
    Shape("an id that is null", {"id": None}, leaves_row=False),
    Shape("an id that is a number", {"id": 7}, leaves_row=False),
    Shape("an id that is a list", {"id": [MARK]}, leaves_row=False),
    Shape("an id that is no UUID", {"id": "order-4711"}, leaves_row=False),
    Shape("an id of a screen's codes", {"id": "\x1b[2J\n" * 99}, leaves_row=False),
    Shape("an endless id", {"id": "x" * 100_000}, leaves_row=False),
    Shape("a task that is a list", {"task": [MARK]}),
    Shape("a task that is an object", {"task": {"a": MARK}}),
    Shape("a task that is null", {"task": None}),
    Shape("a task that is a number", {"task": 7}),
    Shape("an unregistered task", {"task": "shop.render"}),
    Shape("a task of Celery's own", {"task": "celery.chord_unlock"}),
    Shape("no task", _NO_TASK),
    Shape("no header at all", _NOTHING, leaves_row=False),
    Shape("expires that is no time", {"expires": MARK}),
    Shape("expires that is empty", {"expires": ""}),
    Shape("expires that is a list", {"expires": [MARK]}),
    Shape("expires that is a number", {"expires": 7}),
    Shape("expires before the year 1", {"expires": "0001-01-01T00:00:00+14:00"}),
    Shape("eta that is no time", {"eta": MARK}),
    Shape("eta that is an object", {"eta": {}}),
    Shape("timelimit that is text", {"timelimit": MARK}),
    Shape("timelimit of three", {"timelimit": [1, 2, 3]}),
    Shape("timelimit of texts", {"timelimit": [MARK, MARK]}),
    Shape("retries that is text", {"retries": MARK}),
    Shape("retries that is a list", {"retries": [MARK]}),
    # Compression.
    Shape("compressed by no known way", {"compression": MARK}),
    Shape("compression that is a list", {"compression": [MARK]}),
    Shape("compressed, and is not", {"compression": "application/x-gzip"}),
    Shape("a bomb of zlib", {"compression": "zlib"}, body=lambda: _bomb(zlib.compressobj())),
    Shape("a bomb of xz", {"compression": "xz"}, body=lambda: _bomb(lzma.LZMACompressor(preset=0))),
    Shape("bzip2 cut short", {"compression": "bzip2"}, body=bz2.compress(_WHOLE * 9)[:-9]),
    Shape("zlib cut short", {"compression": "gzip"}, body=zlib.compress(_WHOLE * 9)[:-9]),
    Shape("xz cut short", {"compression": "xz"}, body=lzma.compress(_WHOLE * 9)[:-9]),
    # Content.
    Shape("a pickle", content_type="application/x-python-serialize", content_encoding="binary"),
    Shape("YAML", content_type="application/x-yaml"),
    Shape("plain text", content_type="text/plain"),
    Shape("raw data", content_type="application/data", content_encoding="binary"),
    Shape("no content type", content_type=""),
    Shape("an unknown content type", content_type=MARK),
    Shape("a content type that is a list", content_type=[MARK]),
    Shape("a content type that is a number", content_type=7),
    Shape("an unknown encoding", content_type="text/plain", content_encoding=MARK),
    Shape("an encoding that is a number", content_type="text/plain", content_encoding=7),
    # Protocol 1.
    Shape(
        "protocol 1 without an id",
        _NO_TASK | {"id": ABSENT},
        _protocol_1(id=ABSENT),
        leaves_row=False,
    ),
    Shape(
        "protocol 1, id a list", _NO_TASK | {"id": ABSENT}, _protocol_1(id=[1]), leaves_row=False
    ),
    Shape("protocol 1, task a list", _NO_TASK, _protocol_1(task=[MARK])),
    Shape("protocol 1, arguments as text", _NO_TASK, _protocol_1(args=MARK)),
    Shape("protocol 1, named arguments as a list", _NO_TASK, _protocol_1(kwargs=[MARK])),
    Shape("protocol 1, expires a list", _NO_TASK, _protocol_1(expires=[MARK])),
    Shape("protocol 1, callbacks as text", _NO_TASK, _protocol_1(callbacks=MARK)),
    # Redis's envelope.
    Shape("no properties", envelope={"properties": ABSENT}),
    Shape("properties that are null", envelope={"properties": None}),
    Shape("properties that are a list", envelope={"properties": [MARK]}),
    Shape("headers that are a list", envelope={"headers": [MARK]}, leaves_row=False),
    Shape("headers that are text", envelope={"headers": MARK}, leaves_row=False),
    Shape("headers that are null", envelope={"headers": None}, leaves_row=False),
    Shape("no body", envelope={"body": ABSENT}),
    Shape("a body that is null", envelope={"body": None}),
    Shape("a body that is a list", envelope={"body": [MARK]}),
    Shape("a body that is a number", envelope={"body": 7}),
    Shape("a body that is no base64", envelope={"body": MARK + "!"}),
    Shape("a body with half a surrogate pair", envelope={"body": "\ud800" + MARK}),
    Shape("a body in no known encoding", envelope={}, properties={"body_encoding": MARK}),
    Shape("a body encoding that is a list", envelope={}, properties={"body_encoding": [MARK]}),
)
