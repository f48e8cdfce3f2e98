"""Build the bytes of answers: JSON bodies, errors with `code` and `message`.

They are plain ASGI messages instead of a framework's response objects: a canned 2 MB body must be
sent without being copied or encoded again.
"""

import binascii
import json
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from simulator.errors import Broken

__all__ = [
    "Answer",
    "Finished",
    "Receive",
    "Send",
    "error",
    "images",
    "images_body",
    "json_answer",
    "send",
]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()

    def start(self) -> Message:
        """Return the ASGI message that opens this answer."""
        lines = (
            ("content-type", self.content_type),
            ("content-length", str(len(self.body))),
            *self.headers,
        )
        return {
            "type": "http.response.start",
            "status": self.status,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in lines],
        }


async def send(answer: Answer, out: Send) -> None:
    """Send a complete answer."""
    await out(answer.start())
    await out({"type": "http.response.body", "body": answer.body})


def json_answer(content: object, status: int = 200) -> Answer:
    """Return an answer with any JSON."""
    return Answer(status, json.dumps(content).encode())


def error(
    status: int,
    code: str,
    message: str,
    *,
    broken: list[Broken] | None = None,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    """Return an error as the API reports it: a JSON object with `code` and `message`."""
    content: dict[str, object] = {"code": code, "message": message}
    if broken:
        content["errors"] = [{"field": one.field, "rule": one.rule} for one in broken]
    return Answer(status, json.dumps(content).encode(), headers=headers)


def images_body(png: bytes) -> bytes:
    """Return the success body around one PNG: bare base64, no `data:` prefix."""
    return b'{"images":["' + binascii.b2a_base64(png, newline=False) + b'"]}'


def images(png: bytes) -> Answer:
    """Return a success."""
    return Answer(200, images_body(png))


class Finished(NamedTuple):
    """A picture that was charged: its PNG, and the answer that contains it."""

    png: bytes
    answer: Answer
