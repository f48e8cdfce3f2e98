"""Write request bodies: one job as JSON, many as JSON lines generated while they are sent.

The client does not repeat the gateway's checks: the gateway's rules may be newer, and it reports
every fault by field. What cannot be written as JSON is a `TypeError` or `ValueError`, as with
`json`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict

#: Lines are sent together until they have this size.
_PIECE_BYTES = 64 * 1024
#: Pause after which a slow iterable's lines are sent, so that the gateway does not take the client
#: for dead.
_PIECE_S = 1.0


class Request(TypedDict, total=False):
    """The image API's own parameters; only `prompt` is required."""

    prompt: str
    negative_prompt: str
    filter_model: str
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: int
    scheduler: str
    seed: int
    init_image: bytes | str
    strength: float | str
    expand_prompt: bool
    verify_prompt_safety: bool
    prompt_rejection_topics: Iterable[str]
    prompt_filter: str


def job_body(request: Mapping[str, Any], options: Mapping[str, Any]) -> bytes:
    """Return one job's body: the request and the job's options; None is left out."""
    return _json({"request": _set_only(request), **_set_only(options)})


class LinesBroken(Exception):
    """Carry an exception of the caller's iterable past code that would treat it as a network error.

    Attributes:
        fault: that exception.
    """

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        super().__init__()


class Lines:
    """A batch as JSON lines, generated each time it is sent, never all at once in memory.

    Args:
        jobs: one mapping per line: parameters, and `key`, `metadata`, `priority` of that line.

    Attributes:
        once: true for a generator and similar objects, which can be iterated only once.
    """

    def __init__(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        self._jobs = jobs
        self.once = iter(jobs) is jobs

    def pieces(self) -> Iterator[bytes]:
        """Return the body, in pieces."""
        piece, begun_s = bytearray(), time.monotonic()
        for line in self._lines():
            piece += line
            if len(piece) >= _PIECE_BYTES or time.monotonic() - begun_s > _PIECE_S:
                yield bytes(piece)
                piece, begun_s = bytearray(), time.monotonic()
        if piece:
            yield bytes(piece)

    def _lines(self) -> Iterator[bytes]:
        try:
            for job in self._jobs:
                yield _json(_set_only(job)) + b"\n"
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it back
            raise LinesBroken(error) from None


def _set_only(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int)):
        return value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode("ascii")
    return list(value) if isinstance(value, (tuple, set, frozenset)) else value


def _json(value: object) -> bytes:
    return _encoded(value).encode("utf-8")


# Made once: `json.dumps` makes an encoder for each call with any option but its defaults.
_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
