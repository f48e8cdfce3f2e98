"""Outgoing webhooks, the part that is kept: deliveries, their log, and what signs them.

They are written by the end that they tell of, which is the business of `announce.py` outside this
folder. Whether and when an attempt is made is decided by whoever uses this.
"""

from storage.webhooks.deliver import (
    MAX_ANSWER_CHARS,
    Verdict,
    claim_deliveries,
    owners_due,
    record_attempt,
)
from storage.webhooks.delivery import Attempt, ClaimedDelivery, Delivery, DeliveryState
from storage.webhooks.log import (
    UNDELIVERED,
    DeliveryFilter,
    delivery_log,
    find_delivery,
    latest_delivery,
    list_deliveries,
    sweep_deliveries,
)
from storage.webhooks.replay import count_replays, replay_deliveries, walk_deliveries
from storage.webhooks.secrets import (
    MAX_SECRETS,
    add_secret,
    drop_old_secrets,
    signing_secrets,
)

__all__ = [
    "MAX_ANSWER_CHARS",
    "MAX_SECRETS",
    "UNDELIVERED",
    "Attempt",
    "ClaimedDelivery",
    "Delivery",
    "DeliveryFilter",
    "DeliveryState",
    "Verdict",
    "add_secret",
    "claim_deliveries",
    "count_replays",
    "delivery_log",
    "drop_old_secrets",
    "find_delivery",
    "latest_delivery",
    "list_deliveries",
    "owners_due",
    "record_attempt",
    "replay_deliveries",
    "signing_secrets",
    "sweep_deliveries",
    "walk_deliveries",
]
