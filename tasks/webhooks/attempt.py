"""Make one attempt at a claimed delivery, and return the verdict to record.

There are two kinds of receiver. An address gets a signed webhook, and a Celery task is sent over
the fleet's broker. Nothing is sent unsigned: if an owner has no secret, the delivery is retried on
the schedule, with the reason in its log, until there is one.
"""

import logging
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from storage.records.delivery import ClaimedDelivery, DeliveryState
from storage.webhooks.record_attempts import Verdict
from tasks.backoff import backoff_s
from tasks.errors import SecretUnusable
from tasks.webhooks.on_end.callback_target import OnEnd, is_task_target, on_end_of
from tasks.webhooks.on_end.task_callback import TaskCallback
from tasks.webhooks.outcome import Failure, Outcome
from tasks.webhooks.schedule import JITTER, Delivered, Disabled, NextStep, TryAgain, next_step
from tasks.webhooks.sending.sender import Sender

__all__ = ["DeliveryAttempt"]

log = logging.getLogger(__name__)

#: A task is retried indefinitely, because it goes over the fleet's own broker. The first delay is
#: this, and each further delay is doubled, up to …
FIRST_DELAY_S: Final = 5.0
#: … this.
MAX_DELAY_S: Final = 600.0

_STATES: Final = {
    Delivered: DeliveryState.DELIVERED,
    Disabled: DeliveryState.DISABLED,
    TryAgain: DeliveryState.PENDING,
}


class DeliveryAttempt:
    """Makes attempts at deliveries. Thread-safe.

    Args:
        sender: posts webhooks.
        tasks: sends Celery tasks.
        default_secret: signs for owners without a secret; None if there is no default.
    """

    def __init__(self, sender: Sender, tasks: TaskCallback, *, default_secret: str | None) -> None:
        self._sender = sender
        self._tasks = tasks
        self._default = [] if default_secret is None else [default_secret]

    def send(self, claimed: ClaimedDelivery, secrets: Sequence[str]) -> Verdict:
        """Make one attempt, and return the verdict to record.

        Args:
            claimed: the delivery.
            secrets: the owner's secrets, the newest first.
        """
        delivery = claimed.delivery
        if claimed.body is None:
            return _given_up(Failure.FORGOTTEN)
        on_end = on_end_of(delivery.target)
        if on_end is not None:
            return self._by_task(claimed, on_end)
        if is_task_target(delivery.target):  # a manual UPDATE, or a row that is older than the rule
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
            except SecretUnusable:  # a manual UPDATE
                log.error(  # noqa: TRY400 - a traceback adds nothing
                    "an owner's callback secret is invalid", extra={"owner": delivery.owner}
                )
        step = next_step(outcome, claimed.attempt)
        _log_failure(delivery.id, claimed.attempt, outcome, step)
        return verdict_of(outcome, step)

    def _by_task(self, claimed: ClaimedDelivery, on_end: OnEnd) -> Verdict:
        delivery = claimed.delivery
        outcome = self._tasks.send(on_end, task_id=str(delivery.id), kwargs=_arguments(claimed))
        if outcome.failure is None:
            return verdict_of(outcome, Delivered())
        if outcome.failure is Failure.QUEUE_REFUSED:
            return _given_up(outcome.failure)
        delay_s = backoff_s(
            claimed.attempt - 1, base_s=FIRST_DELAY_S, cap_s=MAX_DELAY_S, jitter=(1.0, JITTER)
        )
        return verdict_of(outcome, TryAgain(delay_s))


def verdict_of(outcome: Outcome, step: NextStep) -> Verdict:
    """Return the verdict to record for an outcome and the next step."""
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
    """Return the id and status of the ended job or batch; a receiver reads the rest by its id."""
    delivery = claimed.delivery
    if delivery.job_id is not None:
        return {"job_id": str(delivery.job_id), "status": delivery.event.removeprefix("job.")}
    return {"batch_id": str(delivery.batch_id), "status": delivery.event.removeprefix("batch.")}


def _log_failure(delivery_id: UUID, attempt: int, outcome: Outcome, step: NextStep) -> None:
    """Log a failed attempt, without the address, which may contain a secret."""
    if isinstance(step, Delivered):
        return
    what = "will be tried again" if isinstance(step, TryAgain) else "is given up"
    level = logging.INFO if isinstance(step, TryAgain) else logging.WARNING
    facts = {"delivery_id": str(delivery_id), "attempt": attempt, "answer": outcome.answer}
    log.log(level, "a webhook did not arrive and %s", what, extra=facts)
