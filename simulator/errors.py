"""The errors of the simulator, as one tree.

    SimulatorError
    ├── RequestBroken      the body breaks rules of the API's page; answered 400
    ├── PromptUnsafe       the prompt touches a rejected topic; answered 400 PROMPT_UNSAFE
    ├── BodyTooLarge       more bytes than the simulator accepts; answered 413
    ├── ClientGone         the caller disconnected before the request was read
    └── ControlRefused     an invalid fault rule or latency; a control route's 400

The simulator shares no class with Darkroom, so that a misreading of the page cannot be in both.
"""

from dataclasses import dataclass


class SimulatorError(Exception):
    """The root of all errors that the simulator raises."""


@dataclass(frozen=True, slots=True)
class Broken:
    """One rule of the page that a request breaks."""

    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.field}: {self.rule}"


class RequestBroken(SimulatorError):
    """The request breaks one or more rules of the page."""

    def __init__(self, broken: list[Broken]) -> None:
        super().__init__("; ".join(str(one) for one in broken))
        self.broken = broken


class PromptUnsafe(SimulatorError):
    """The prompt is unsafe, or touches a topic the caller wants rejected."""

    def __init__(self, topic: str) -> None:
        super().__init__(f"The prompt was rejected because it touches: {topic}")
        self.topic = topic


class BodyTooLarge(SimulatorError):
    """The request's body is larger than the simulator accepts."""


class ClientGone(SimulatorError):
    """The connection ended before the request was complete."""


class ControlRefused(SimulatorError):
    """An invalid control request (faults, latency, ledger filter)."""
