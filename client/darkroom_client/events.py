"""Parse the Server-Sent Events that the gateway sends.

The format is the HTML standard's (section 9.2, "Server-sent events"): one field per line, a blank
line ends an event, a line that begins with a colon keeps the connection open.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One change of a job.

    Attributes:
        id: its position in the stream, after which a later reader may resume.
        name: its kind.
        data: its content.
    """

    id: str
    name: str
    data: Mapping[str, Any]


class Stream:
    """Read connections' lines, and record the position and the delay between two connections.

    Attributes:
        last_id: of the last complete event; empty before the first.
        wait_s: the delay that the gateway requests between two connections.
    """

    def __init__(self, last_id: str = "", wait_s: float = 1.0) -> None:
        self.last_id = last_id
        self.wait_s = wait_s

    def events(self, lines: Iterable[str]) -> Iterator[Event]:
        """Yield the events in these lines; an incomplete last one is left out."""
        fields: dict[str, str] = {}
        data: list[str] = []
        for line in lines:
            if line:
                self._take(line, fields, data)
                continue
            event = self._event(fields, data)
            fields, data = {}, []
            if event is not None:
                yield event

    @staticmethod
    def lines(pieces: Iterable[bytes]) -> Iterator[str]:
        """Split a body into lines as it arrives; what follows the last line end is left out."""
        rest = b""
        for piece in pieces:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                yield line.rstrip(b"\r").decode("utf-8", "replace")

    def _take(self, line: str, fields: dict[str, str], data: list[str]) -> None:
        name, _, value = line.partition(":")
        value = value[1:] if value[:1] == " " else value
        if name == "data":
            data.append(value)
        elif name == "retry" and value.isascii() and value.isdigit():
            self.wait_s = min(int(value[:9]) / 1000, 60.0)
        elif name:
            fields[name] = value

    def _event(self, fields: dict[str, str], data: list[str]) -> Event | None:
        self.last_id = fields.get("id", self.last_id)
        if not data:
            return None
        try:
            content = json.loads("\n".join(data))
        except ValueError:
            return None
        told = content if isinstance(content, dict) else {"value": content}
        return Event(self.last_id, fields.get("event", "message"), told)
