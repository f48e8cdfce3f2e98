"""Start the components before Celery's consumer, and drain them after it has stopped."""

import logging
from collections.abc import Callable
from typing import Any

from celery import Celery, bootsteps
from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from celery.signals import worker_init

from storage.errors import StorageError
from tasks.messages.gate import MessageGate
from workers.components import WorkerComponents
from workers.consumer import consumer_of
from workers.gc_freeze import leave_libraries_alone
from workers.signals import leave_on_signals

__all__ = ["PoolRefused", "install"]


log = logging.getLogger(__name__)


class PoolRefused(SystemExit):
    """Raised if Celery is started with another pool than `threads`."""


def install(
    app: Celery, make_crew: Callable[[], WorkerComponents], gate: Callable[[], MessageGate]
) -> None:
    """Make every worker of this app run its components and pass its messages through a gate.

    Args:
        app: the fleet's Celery app.
        make_crew: builds the components; called once, when a worker starts.
        gate: returns the gate that every message passes.
    """

    class CrewStep(bootsteps.StartStopStep):
        """Start before the consumer takes messages, and stop after it has stopped."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **kwargs: Any) -> None:
            super().__init__(parent, **kwargs)
            parent.crew = self.crew = make_crew()

        def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            try:
                self.crew.start()
            except StorageError as error:
                log.critical("this worker cannot start: %s", error)
                raise SystemExit(1) from error
            leave_libraries_alone()
            leave_on_signals()

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            self.crew.drain()

        terminate = stop

    class FlowStep(bootsteps.StartStopStep):
        """Attach the consumer to its controls, at every new connection."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            for flow in parent.controller.crew.flows:
                flow.attach(parent)

    app.conf.worker_consumer = consumer_of(gate)
    worker_init.connect(_require_threads, sender=None, weak=False)
    app.steps["worker"].add(CrewStep)
    app.steps["consumer"].add(FlowStep)


def _require_threads(sender: Any, **_: object) -> None:
    """Refuse other pools before they are made: one that has forked would keep the process alive."""
    if not issubclass(get_implementation(sender.pool_cls), TaskPool):
        raise PoolRefused(
            "darkroom: only Celery's `threads` pool is supported: its threads take messages in, "
            "and the worker's own threads wait for the API; leave out --pool, or say --pool=threads"
        )
