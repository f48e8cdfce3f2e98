"""One attempt at a delivery, from the claim to what is to be written down of it.

Here the two kinds of receiver meet: an address, which gets a signed webhook, and a Celery task,
which is sent over the fleet's broker. Nothing is sent unsigned: deliveries of an owner without a
secret wait on the schedule, with the reason in their log, until there is one.
"""

import logging
import random
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from storage.records.delivery import ClaimedDelivery, DeliveryState
from storage.webhooks.claim_delivery import Verdict
from tasks.errors import SecretUnusable
from tasks.webhooks.callback_target import OnEnd, is_task_target, on_end_of
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.schedule import JITTER, Delivered, Disabled, NextStep, TryAgain, next_step
from tasks.webhooks.sender import Sender
from tasks.webhooks.task_callback import TaskCallback

__all__ = ["DeliveryAttempt", "verdict_of"]

log = logging.getLogger(__name__)

#: A broker is tried for ever, since it is ours: after this at first, doubled each time, up to …
FIRST_DELAY_S: Final = 5.0
#: … this.
MAX_DELAY_S: Final = 600.0

_STATES: Final = {
    Delivered: DeliveryState.DELIVERED,
    Disabled: DeliveryState.DISABLED,
    TryAgain: DeliveryState.PENDING,
}


class DeliveryAttempt:
    """Makes attempts. Thread-safe.

    Args:
        sender: posts to addresses.
        tasks: sends Celery tasks.
        default_secret: signs for owners who have no secret of their own; None for nobody.
    """

    def __init__(self, sender: Sender, tasks: TaskCallback, *, default_secret: str | None) -> None:
        self._sender = sender
        self._tasks = tasks
        self._default = [] if default_secret is None else [default_secret]

    def send(self, claimed: ClaimedDelivery, secrets: Sequence[str]) -> Verdict:
        """Make the attempt, and say what is to be written down.

        Args:
            claimed: the delivery.
            secrets: the owner's own, the newest first.
        """
        delivery = claimed.delivery
        if claimed.body is None:
            return _given_up(Failure.FORGOTTEN)
        on_end = on_end_of(delivery.target)
        if on_end is not None:
            return self._by_task(claimed, on_end)
        if is_task_target(delivery.target):  # an UPDATE by hand, or older than the rule
            return _given_up(Failure.QUEUE_REFUSED)
        if claimed.is_gone:
            return Verdict(
                DeliveryState.DISABLED,
                status=delivery.last_status,
                error=delivery.last_error,
                was_sent=False,
            )
        return self._by_webhook(claimed, secrets or self._default)

    def _by_webhook(self, claimed: ClaimedDelivery, secrets: Sequence[str]) -> Verdict:
        delivery = claimed.delivery
        outcome = Outcome(Failure.NO_SECRET, 0.0)
        if secrets:
            try:
                outcome = self._sender.send(
                    delivery.target,
                    message_id=str(delivery.id),
                    body=(claimed.body or "").encode(),
                    signing_secrets=secrets,
                )
            except SecretUnusable:  # somebody's own UPDATE
                log.error(  # noqa: TRY400 - a traceback would say no more
                    "an owner's callback secret is none", extra={"owner": delivery.owner}
                )
        step = next_step(outcome, claimed.attempt)
        _tell(delivery.id, claimed.attempt, outcome, step)
        return verdict_of(outcome, step)

    def _by_task(self, claimed: ClaimedDelivery, on_end: OnEnd) -> Verdict:
        delivery = claimed.delivery
        outcome = self._tasks.send(on_end, task_id=str(delivery.id), kwargs=_arguments(claimed))
        if outcome.failure is None:
            return verdict_of(outcome, Delivered())
        if outcome.failure is Failure.QUEUE_REFUSED:
            return _given_up(outcome.failure)
        # 2 to the 7th is beyond the bound already; an exponent without one would overflow.
        delay_s = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(claimed.attempt - 1, 7))
        return verdict_of(outcome, TryAgain(delay_s * random.uniform(1.0, JITTER)))  # noqa: S311


def verdict_of(outcome: Outcome, step: NextStep) -> Verdict:
    """What is written down of an attempt and what follows from it."""
    return Verdict(
        state=_STATES.get(type(step), DeliveryState.FAILED),
        delay_s=step.delay_s if isinstance(step, TryAgain) else None,
        latency_ms=round(outcome.latency_s * 1000),
        status=outcome.status,
        error=None if outcome.failure is None else outcome.failure.value,
        answer=outcome.first_bytes.decode("utf-8", "replace") or None,
        is_gone=isinstance(step, Disabled),
    )


def _given_up(failure: Failure) -> Verdict:
    return Verdict(DeliveryState.FAILED, error=failure.value)


def _arguments(claimed: ClaimedDelivery) -> dict[str, Any]:
    """The id and the status of what has ended, and nothing that would have to be kept in step."""
    delivery = claimed.delivery
    if delivery.job_id is not None:
        return {"job_id": str(delivery.job_id), "status": delivery.event.removeprefix("job.")}
    return {"batch_id": str(delivery.batch_id), "status": delivery.event.removeprefix("batch.")}


def _tell(delivery_id: UUID, attempt: int, outcome: Outcome, step: NextStep) -> None:
    """A line in the log where it did not arrive; never the address, which may hold a secret."""
    if isinstance(step, Delivered):
        return
    told = "will be tried again" if isinstance(step, TryAgain) else "is given up"
    level = logging.INFO if isinstance(step, TryAgain) else logging.WARNING
    facts = {"delivery_id": str(delivery_id), "attempt": attempt, "answer": outcome.answer}
    log.log(level, "a webhook did not arrive and %s", told, extra=facts)
