"""What can go wrong in the simulator, as one tree.

    SimulatorError
    ├── RequestBroken      the body breaks rules of the API's page; answered 400
    ├── PromptUnsafe       the prompt touches what is rejected; answered 400 PROMPT_UNSAFE
    ├── BodyTooLarge       more bytes than the simulator is willing to hold; answered 413
    ├── ClientGone         whoever called hung up before we had read the request
    └── ControlRefused     a fault rule or a latency that makes no sense; a control door's 400

The simulator shares no class with the rest of the house, so that a misreading cannot hide in both.
"""

from dataclasses import dataclass


class SimulatorError(Exception):
    """The root of everything the simulator raises on purpose."""


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
    """The connection ended before the request was whole."""


class ControlRefused(SimulatorError):
    """A control request (faults, latency, ledger filter) that cannot be obeyed."""
