"""Claim and record single deliveries, for tests of what becomes of them."""

from uuid import UUID

from storage.db.database import Database
from storage.records.delivery import ClaimedDelivery
from storage.webhooks.claim_delivery import Wanted
from storage.webhooks.claim_delivery import claim_deliveries as claim_of_receivers
from storage.webhooks.due_receivers import owners_due
from storage.webhooks.record_attempts import Verdict, record_attempts


def claim_deliveries(
    db: Database, owner: str, *, token: UUID, limit: int, lease_s: float
) -> list[ClaimedDelivery]:
    """Claim due deliveries of an owner, at most so many for each of its receivers."""
    owners = owners_due(db, after_owner="", after_receivers={}, limit=100)
    wanted = [
        Wanted(owner, receiver, limit)
        for each in owners
        if each.owner == owner
        for receiver in each.receivers
    ]
    return claim_of_receivers(db, wanted, token=token, lease_s=lease_s)


def record_attempt(db: Database, claimed: ClaimedDelivery, verdict: Verdict) -> bool:
    """Record an attempt; return whether its claim was still held."""
    recorded = record_attempts(db, [(claimed, verdict)])
    assert not recorded.locked
    return not recorded.lost
