"""Replaying many: what is sent again, what is left alone, and whose it is."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from storage.jobs.cancel import ask_cancel
from storage.records.delivery import DeliveryState
from storage.webhooks.log import DeliveryFilter, find_delivery, latest_delivery
from storage.webhooks.record_attempts import Verdict
from tasks.bulk import steps
from tasks.bulk.replay_many import BulkReplay, ReplayResult, find_deliveries, select_deliveries
from tests.storage.deliveries import claim_deliveries, record_attempt
from tests.storage.table import TableUnderTest

URL = "https://shop.example.com/done"


def ended(table: TableUnderTest, owner: str = "ann") -> UUID:
    """Cancel a job whose end is delivered; return the delivery's id."""
    job_id = table.accept(owner=owner, callback_url=URL)
    ask_cancel(table.db, job_id)
    delivery = latest_delivery(table.db, job_id=job_id)
    assert delivery is not None
    return delivery.id


def attempt(table: TableUnderTest, state: DeliveryState, owner: str = "ann") -> None:
    """Have what is due attempted, all with the same end."""
    for claimed in claim_deliveries(table.db, owner, token=uuid4(), limit=100, lease_s=60):
        record_attempt(table.db, claimed, Verdict(state, latency_ms=7, status=500))


def state(table: TableUnderTest, delivery_id: UUID) -> DeliveryState:
    """The state of a delivery."""
    delivery = find_delivery(table.db, delivery_id)
    assert delivery is not None
    return delivery.state


def test_without_a_state_what_did_not_arrive_is_sent_again(table: TableUnderTest) -> None:
    """Failed and disabled ones, counted by event before; what arrived is not sent again."""
    arrived = ended(table)
    attempt(table, DeliveryState.DELIVERED)
    failed = ended(table)
    attempt(table, DeliveryState.FAILED)
    disabled = ended(table)
    attempt(table, DeliveryState.DISABLED)
    replay = BulkReplay(table.db, select_deliveries(table.db, DeliveryFilter()))
    assert replay.result == ReplayResult(2, {"job.cancelled": 2})
    assert state(table, failed) is DeliveryState.FAILED
    assert {i for ids in replay.steps() for i in ids} == {failed, disabled}
    assert replay.result == ReplayResult(2, {"job.cancelled": 2}, replayed=2)
    assert state(table, failed) is state(table, disabled) is DeliveryState.PENDING
    assert state(table, arrived) is DeliveryState.DELIVERED


def test_a_filter_selects_by_owner_state_and_moment(table: TableUnderTest) -> None:
    """What another owner has, and what ended after the moment, is left alone."""
    hers, his = ended(table), ended(table, "bob")
    for owner in ("ann", "bob"):
        attempt(table, DeliveryState.FAILED, owner)
    of_ann = select_deliveries(table.db, DeliveryFilter(owner="ann"))
    before = of_ann.as_of - timedelta(hours=1)
    for selected in (
        select_deliveries(table.db, DeliveryFilter(owner="ann"), as_of=before),
        select_deliveries(table.db, DeliveryFilter("ann", frozenset({DeliveryState.DELIVERED}))),
    ):
        assert BulkReplay(table.db, selected).result.deliveries == 0
    assert list(BulkReplay(table.db, of_ann).steps()) == [[hers]]
    assert state(table, his) is DeliveryState.FAILED


def test_named_deliveries_are_sent_again_whatever_their_state(
    table: TableUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of no delivery is missing, and so is one that is being sent."""
    monkeypatch.setattr(steps, "CHUNK_JOBS", 1)
    arrived, nothing = ended(table), uuid4()
    attempt(table, DeliveryState.DELIVERED)
    sent = ended(table)
    assert len(claim_deliveries(table.db, "ann", token=uuid4(), limit=1, lease_s=60)) == 1
    named = find_deliveries(table.db, [nothing, sent, arrived, arrived])
    replay = BulkReplay(table.db, named)
    assert replay.result == ReplayResult(2, missing=[nothing])
    assert list(replay.steps()) == [[], [arrived]]
    assert replay.result == ReplayResult(2, replayed=1, missing=[nothing, sent])
    assert replay.being_sent == [sent]
    assert state(table, arrived) is DeliveryState.PENDING


def test_named_deliveries_of_another_owner_are_missing(table: TableUnderTest) -> None:
    """As if they did not exist."""
    hers, his = ended(table), ended(table, "bob")
    replay = BulkReplay(table.db, find_deliveries(table.db, [hers, his], owner="ann"))
    assert list(replay.steps()) == [[hers]]
    assert replay.result.missing == [his]
