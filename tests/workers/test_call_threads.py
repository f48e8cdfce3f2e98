"""How many threads a worker has for the courses of its jobs."""

import pytest

from darkroom.settings import load_settings
from darkroom.wiring.call_threads import call_threads


@pytest.mark.parametrize(("calls", "threads"), [(1, 2), (8, 9), (256, 288), (1_000, 1_125)])
def test_an_eighth_more_threads_than_calls_are_at_work(calls: int, threads: int) -> None:
    """They bring pictures to safety, or stand ready with a job."""
    assert call_threads(load_settings(concurrency=calls)) == threads


@pytest.mark.parametrize(("fit", "threads"), [(4, 8), (8, 8), (9, 9), (99, 9)])
def test_no_thread_waits_for_room_in_a_spool_that_holds_the_calls_alone(
    fit: int, threads: int
) -> None:
    """It would wait for as long as there is work, and call that a bucket that is away."""
    settings = load_settings(concurrency=8, spool_max_bytes=fit * 4_000_000)
    assert call_threads(settings) == threads
