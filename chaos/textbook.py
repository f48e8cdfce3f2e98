"""The task that Celery's documentation would have one write, for comparison.

`acks_late`, `autoretry_for` with backoff, a result backend, `requests`, `base64`, boto3: each is as
its own documentation has it, and nothing is left out to make it look worse. Its visibility
timeout is far shorter than the default of an hour, so that what a dead worker held comes back while
the row is still being watched. Started by `celery -A chaos.textbook worker`; settings come from the
environment, as such tasks do it.
"""

import base64
import os

import boto3
import requests
from celery import Celery

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
    """Ask for an image, store it, return its key."""
    answer = requests.post(
        os.environ["TEXTBOOK_API_URL"],
        json=request,
        headers={"Authorization": f"Bearer {os.environ['TEXTBOOK_API_KEY']}"},
        timeout=120,
    )
    answer.raise_for_status()
    png = base64.b64decode(answer.json()["images"][0])
    key = f"{self.request.id}.png"
    s3 = boto3.client("s3", endpoint_url=os.environ["TEXTBOOK_S3_URL"], region_name="us-east-1")
    s3.put_object(Bucket=os.environ["TEXTBOOK_BUCKET"], Key=key, Body=png, ContentType="image/png")
    return key
