"""Start the components before Celery's consumer, and drain them after it has stopped."""

import logging
from collections.abc import Sequence
from typing import Any, Protocol

from celery import Celery, bootsteps
from celery.concurrency import get_implementation
from celery.concurrency.thread import TaskPool
from celery.signals import worker_init

from storage.errors import StorageError
from workers.components import WorkerComponents
from workers.consumer import ReceivesMessages, consumer_of
from workers.consumer_control import ConsumerControl
from workers.gc_freeze import freeze_libraries
from workers.signals import leave_on_signals

__all__ = ["WorkerParts", "install"]


log = logging.getLogger(__name__)


class PoolRefused(SystemExit):
    """Raised if Celery is started with another pool than `threads`."""


class WorkerParts(ReceivesMessages, Protocol):
    """Provide what a worker process consists of; each is built when it is first read."""

    @property
    def components(self) -> WorkerComponents:
        """Return the components that run beside Celery."""

    @property
    def flows(self) -> Sequence[ConsumerControl]:
        """Return the consumer controls of the queues, to which the consumer is attached."""


def install(app: Celery, parts: WorkerParts) -> None:
    """Make every worker of this app run its components and pass its messages through a gate.

    Args:
        app: the fleet's Celery app.
        parts: the components and the gate, not read before a worker starts.
    """
    app.conf.worker_consumer = consumer_of(parts)
    worker_init.connect(_require_threads, sender=None, weak=False)
    app.steps["worker"].add(_components_step(parts))
    app.steps["consumer"].add(_flow_step(parts))


def _components_step(parts: WorkerParts) -> type[bootsteps.StartStopStep]:
    class ComponentsStep(bootsteps.StartStopStep):
        """Start before the consumer takes messages, and stop after it has stopped."""

        requires = ("celery.worker.components:Pool",)

        def __init__(self, parent: Any, **kwargs: Any) -> None:
            super().__init__(parent, **kwargs)
            self.components = parts.components

        def start(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            try:
                self.components.start()
            except StorageError as error:
                log.critical("this worker cannot start: %s", error)
                raise SystemExit(1) from error
            freeze_libraries()
            leave_on_signals()

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            self.components.drain()

        terminate = stop

    return ComponentsStep


def _flow_step(parts: WorkerParts) -> type[bootsteps.StartStopStep]:
    class FlowStep(bootsteps.StartStopStep):
        """Attach the consumer to its controls at every new connection; give up its messages."""

        requires = ("celery.worker.consumer.tasks:Tasks",)

        def start(self, parent: Any) -> None:
            parts.groups.attach(parent)
            for flow in parts.flows:
                flow.attach(parent)

        def stop(self, parent: Any) -> None:  # noqa: ARG002 - Celery's signature
            parts.groups.leave()

    return FlowStep


def _require_threads(sender: Any, **_: object) -> None:
    """Refuse other pools before they are made: one that has forked would keep the process alive."""
    if not issubclass(get_implementation(sender.pool_cls), TaskPool):
        raise PoolRefused(
            "darkroom: only Celery's `threads` pool is supported: its threads take messages in, "
            "and the worker's own threads wait for the API; leave out --pool, or set --pool=threads"
        )
