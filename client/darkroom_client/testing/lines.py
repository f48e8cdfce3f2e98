"""Read a batch's body as the gateway reads it: valid lines, and the faults of the others."""

from __future__ import annotations

import json
from typing import Any

from darkroom_client.testing.rules import faults_in

_OF_A_LINE = ("metadata", "priority")


class Lines:
    """JSON lines, checked.

    Args:
        body: the batch as received.
        priority: of lines without a priority.

    Attributes:
        count: how many lines there are.
        good: request, options and key of each valid one.
        faulty: how many are invalid.
        faults: the faults of those, by line and field.
    """

    def __init__(self, body: bytes, priority: int) -> None:
        self.count = self.faulty = 0
        self.good: list[dict[str, Any]] = []
        self.faults: list[dict[str, Any]] = []
        self._priority = priority
        self._first: dict[str, int] = {}
        for number, line in enumerate(body.splitlines(), start=1):
            if line.strip():
                self.count += 1
                self._take(number, json.loads(line))

    def _take(self, number: int, given: dict[str, Any]) -> None:
        key = given.pop("key", None)
        options = {name: given.pop(name) for name in _OF_A_LINE if name in given}
        faults = faults_in(given, options)
        if not faults and key is not None and self._first.setdefault(key, number) != number:
            rule = f"key {key!r} is that of line {self._first[key]} already"
            faults = [{"field": "line", "value": "(not shown)", "rule": rule}]
        if faults:
            self.faulty += 1
            self.faults += [{"line": number, **fault} for fault in faults]
        else:
            shared = {"priority": self._priority}
            self.good.append({"request": given, "options": {**shared, **options}, "key": key})
