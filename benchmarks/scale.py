"""The size of a run."""

from dataclasses import dataclass

__all__ = ["FULL", "QUICK", "Scale"]


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of the whole run.

    Attributes:
        images: that Darkroom makes in a round.
        textbook_images: that a textbook worker makes, as each takes it longer.
        rounds: of figures that are cheap enough to be repeated.
        calls: in flight in one process, one run each; the last is the figure.
        latency_s: of a call while so many are in flight.
        window_s: how long the steady state is watched.
        samples: single jobs on an idle system.
        lines: of the batch that the gateway accepts.
        backlog: jobs queued, against a thousand.
        worked_off: jobs of such a backlog that are run.
        messages: that wait in a queue to be accepted.
        deliveries: webhooks sent, in each measurement of their cost.
        rows: of the table whose plans are read.
        posts: jobs submitted over HTTP, in each measurement of their cost.
        reads: requests for a job or a page, in each measurement of their cost.
        is_darkroom_only: whether no other contender is measured, and calls in flight only at their
            largest number.
    """

    images: int
    textbook_images: int
    rounds: int
    calls: tuple[int, ...]
    latency_s: float
    window_s: float
    samples: int
    lines: int
    backlog: int
    worked_off: int
    messages: int
    deliveries: int
    rows: int
    posts: int
    reads: int
    is_darkroom_only: bool = False


FULL = Scale(
    images=1_200,
    textbook_images=160,
    rounds=3,
    calls=(10, 100, 1_000),
    latency_s=10.0,
    window_s=40.0,
    samples=120,
    lines=200_000,
    backlog=1_000_000,
    worked_off=800,
    messages=20_000,
    deliveries=4_000,
    rows=300_000,
    posts=3_000,
    reads=3_000,
)
QUICK = Scale(
    images=300,
    textbook_images=64,
    rounds=1,
    calls=(10, 100),
    latency_s=2.0,
    window_s=4.0,
    samples=30,
    lines=20_000,
    backlog=20_000,
    worked_off=300,
    messages=4_000,
    deliveries=1_000,
    rows=20_000,
    posts=500,
    reads=500,
)
