"""What both gateways hold of batches: lines in, all or none; counts, results and pictures out."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter

from darkroom.wiring.gateway import ROUTERS
from darkroom_client import Conflict, InvalidRequest, NotFound, WaitTimeout
from gateway.batches import routes as batches
from gateway.services import Services
from tests.client.conftest import Side

SOON_S = 20.0
LINES: list[dict[str, Any]] = [
    {"prompt": "a fox", "key": "fox", "seed": 7, "metadata": {"page": 1}},
    {"prompt": "a crane", "key": "crane", "priority": 9},
    {"prompt": "a fair", "prompt_rejection_topics": ("gambling", "drugs"), "width": None},
]


@pytest.fixture
def routers() -> tuple[Callable[[Services], APIRouter], ...]:
    """Every part that is asked here, each once."""
    return tuple(dict.fromkeys((*ROUTERS, batches.router)))


def test_a_batch_is_followed_to_its_end_and_its_results_are_read(side: Side) -> None:
    """Each line under its key, with the seed, and a handle that fetches its picture."""
    side.hold()
    batch = side.client.submit_many(LINES, name="a night's work", priority=3)
    assert (batch.created, batch.faulty_lines, batch.faults) == (True, 0, ())
    assert (batch.state.status, batch.state.total, batch.state.done) == ("running", 3, 0)
    assert (batch.state.name, batch.state.counts["queued"]) == ("a night's work", 3)
    waiting = {result.key: result for result in batch.results()}
    assert sorted(waiting, key=str) == [None, "crane", "fox"]
    priorities = {key: result.job.state.priority for key, result in waiting.items()}
    assert priorities == {"fox": 3, "crane": 9, None: 3}
    for result in waiting.values():
        side.succeed(result.id)
    assert batch.wait(timeout_s=SOON_S).state.counts["succeeded"] == 3
    fox = next(result for result in batch.results() if result.key == "fox")
    assert (fox.status, fox.seed, fox.metadata, fox.error) == ("succeeded", 7, {"page": 1}, None)
    assert len(fox.object_keys) == 1
    assert fox.job.images[0].bytes().startswith(b"\x89PNG")
    assert fox.job.state.batch_id == batch.id


def test_lines_that_choose_their_seed_may_be_answered_with_pictures_there_are(side: Side) -> None:
    """The others are called for; each result says whose picture it has."""
    side.hold()
    first = side.client.submit("a fox", seed=7, reuse=True)
    side.succeed(first.id)
    side.hold()
    batch = side.client.submit_many(LINES, reuse=True)
    found = {result.key: (result.status, result.reused_from) for result in batch.results()}
    waits = ("queued", None)
    assert found == {"fox": ("succeeded", first.id), "crane": waits, None: waits}
    others = side.client.submit_many(LINES, reuse=False)
    assert {result.status for result in others.results()} == {"queued"}


def test_a_batch_is_found_again_by_its_id(side: Side) -> None:
    """In another process."""
    batch = side.client.submit_many(LINES)
    again = side.client.batch(batch.id)
    assert (again.created, again.state.total) == (None, 3)


def test_the_same_key_with_the_same_lines_is_the_same_batch(side: Side) -> None:
    """From a list or from a generator; with other lines it is a conflict."""
    first = side.client.submit_many(LINES, key="night-42")
    again = side.client.submit_many(iter(LINES), key="night-42")
    assert (first.id, first.created, again.created) == (again.id, True, False)
    with pytest.raises(Conflict):
        side.client.submit_many(LINES[:1], key="night-42")
    assert side.client.submit_many(LINES).id != first.id


def test_who_is_told_of_a_batchs_end_is_part_of_it(side: Side) -> None:
    """It comes back; under the same key another one is another batch; a bad one keeps all out."""
    url = "https://shop.example.com/night?token=1"
    batch = side.client.submit_many(LINES, key="night-43", callback_url=url)
    assert (batch.state.callback_url, batch.state.delivery) == (url, None)
    assert side.client.submit_many(LINES, key="night-43", callback_url=url).id == batch.id
    with pytest.raises(Conflict):
        side.client.submit_many(LINES, key="night-43")
    with pytest.raises(InvalidRequest) as caught:
        side.client.submit_many(LINES, callback_url="ftp://shop.example.com")
    assert [fault.field for fault in caught.value.faults] == ["callback_url"]


def test_faulty_lines_keep_the_whole_batch_out(side: Side) -> None:
    """Each fault by line and field."""
    lines = [*LINES, {"prompt": "", "seed": 0}, {"prompt": "a fox", "priority": 1000}, LINES[0]]
    with pytest.raises(InvalidRequest) as caught:
        side.client.submit_many(lines)
    found = sorted((fault.line, fault.field) for fault in caught.value.faults)
    assert found == [(4, "prompt"), (4, "seed"), (5, "priority"), (6, "line")]
    assert caught.value.facts["faulty_lines"] == 3


def test_faulty_lines_are_left_out_where_that_is_asked_for(side: Side) -> None:
    """And told."""
    lines = [LINES[0], {"prompt": "a fox", "colour": "red"}, LINES[1]]
    batch = side.client.submit_many(lines, skip_invalid=True)
    assert (batch.created, batch.state.total, batch.faulty_lines) == (True, 2, 1)
    assert [(fault.line, fault.field) for fault in batch.faults] == [(2, "colour")]


def test_nothing_but_faulty_lines_is_no_batch_and_neither_is_nothing(side: Side) -> None:
    """Even where leaving out is asked for."""
    for lines in ([{"prompt": ""}], []):
        with pytest.raises(InvalidRequest):
            side.client.submit_many(lines, skip_invalid=True)


def test_a_batch_that_waits_is_cancelled_at_once(side: Side) -> None:
    """With counts."""
    side.hold()
    batch = side.client.submit_many(LINES)
    stopped = batch.cancel()
    assert (stopped.cancelled, stopped.asked) == (3, 0)
    assert batch.wait(timeout_s=SOON_S).state.counts["cancelled"] == 3
    assert (batch.cancel().cancelled, batch.state.ended) == (0, True)
    assert {result.error.code for result in batch.results() if result.error} == {"CANCELLED"}


def test_a_batch_that_takes_longer_than_its_reader_waits_goes_on(side: Side) -> None:
    """The timeout is the reader's alone."""
    side.hold()
    batch = side.client.submit_many(LINES)
    with pytest.raises(WaitTimeout):
        batch.wait(timeout_s=0.05)
    assert batch.refresh().state.counts["queued"] == 3


def test_lines_that_break_off_leave_no_batch(side: Side) -> None:
    """The same key is free for the whole."""

    def broken() -> Iterator[dict[str, Any]]:
        yield from LINES
        raise RuntimeError("the cursor closed")

    with pytest.raises(RuntimeError, match="cursor"):
        side.client.submit_many(broken(), key="night-42")
    assert side.client.submit_many(LINES, key="night-42").created


def test_a_batch_that_nobody_has_is_not_found(side: Side) -> None:
    """For every way to ask."""
    batch = side.client.batch("0197a0c2-7d1e-7b1c-9d59-0d6c3a1f2b10")
    for ask in (batch.refresh, batch.wait, batch.cancel, lambda: list(batch.results())):
        with pytest.raises(NotFound):
            ask()
