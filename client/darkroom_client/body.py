"""What is sent: one job as JSON, many as JSON lines made while they are being sent.

Nothing is checked here that the gateway checks: its rules are newer than ours, and it tells every
fault by field. What cannot be written as JSON is a `TypeError` or `ValueError`, as with `json`.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict

#: Lines are sent in pieces of about this size: one line each would be one packet each.
_PIECE_BYTES = 64 * 1024
#: A slow iterable must not look like a client that has died.
_PIECE_S = 1.0


class Request(TypedDict, total=False):
    """The image API's own parameters; only `prompt` is needed."""

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
    """One job: the request, and what is said about the job besides; None is left out."""
    return _json({"request": _set_only(request), **_set_only(options)})


class LinesBroken(Exception):
    """Carries what the caller's own iterable raised past those who would take it for the network's.

    Attributes:
        fault: that exception.
    """

    def __init__(self, fault: Exception) -> None:
        self.fault = fault
        super().__init__()


class Lines:
    """A batch as JSON lines, made anew each time it is sent, never all at once in memory.

    Args:
        jobs: one mapping a line: parameters, and `key`, `metadata`, `priority` of that line.

    Attributes:
        once: true for a generator and its like, which can be gone through only once.
    """

    def __init__(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        self._jobs = jobs
        self.once = iter(jobs) is jobs

    def pieces(self) -> Iterator[bytes]:
        """The body, in pieces."""
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


# Made once: `json.dumps` makes an encoder for each call that wants anything but its defaults.
_encoded = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
