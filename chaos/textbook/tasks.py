"""The task as Celery's documentation recommends it, for comparison.

`acks_late`, `autoretry_for` with backoff, a result backend: each is used as documented, and nothing
is left out to make it look worse. The work itself is in `job.py`. The visibility timeout is far
shorter than the default of an hour, so that a dead worker's messages return while the row is still
watched. Start it with `celery -A chaos.textbook.tasks worker`; settings come from the environment,
as is usual in such tasks.
"""

import os

from celery import Celery

from chaos.textbook.job import make_and_store

__all__ = ["app", "generate"]

app = Celery(
    "textbook", broker=os.environ.get("TEXTBOOK_BROKER"), backend=os.environ.get("TEXTBOOK_BROKER")
)
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    task_default_queue=os.environ.get("TEXTBOOK_QUEUE", "celery"),
    broker_transport_options={
        "visibility_timeout": float(os.environ.get("TEXTBOOK_VISIBILITY_S", "3600"))
    },
)


@app.task(
    bind=True, autoretry_for=(Exception,), retry_backoff=True, retry_jitter=True, max_retries=5
)
def generate(self, request: dict[str, object]) -> str:  # type: ignore[no-untyped-def] # noqa: ANN001 - as docs write it
    """Request an image, store it, return its key."""
    return make_and_store(request, self.request.id)
