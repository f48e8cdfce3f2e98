"""The fleet's Celery app for tests of its connections: no worker takes what comes in."""

from celery import Celery

from tasks.celery_app import TaskHandlers, make_app
from tasks.messages.rejected import RejectedMessages
from tasks.queues import Queues

__all__ = ["app_at"]


def app_at(broker_url: str) -> Celery:
    """Make the app over this broker; to be closed."""
    return make_app(
        broker_url=broker_url,
        queues=Queues("darkroom"),
        threads=1,
        submit_again_s=60,
        handlers=TaskHandlers(),
        rejected=RejectedMessages(),
    )
