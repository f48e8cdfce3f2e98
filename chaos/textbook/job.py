"""The body of the textbook task: `requests`, `base64` and boto3, used as documented.

It is separate from the queue that runs it, so that several queues can be compared over the same
job. Settings come from the environment, as is usual in such tasks.
"""

import base64
import os

import boto3
import requests

__all__ = ["make_and_store"]


def make_and_store(request: dict[str, object], name: str) -> str:
    """Request an image, store it, return its key."""
    answer = requests.post(
        os.environ["TEXTBOOK_API_URL"],
        json=request,
        headers={"Authorization": f"Bearer {os.environ['TEXTBOOK_API_KEY']}"},
        timeout=120,
    )
    answer.raise_for_status()
    png = base64.b64decode(answer.json()["images"][0])
    key = f"{name}.png"
    s3 = boto3.client("s3", endpoint_url=os.environ["TEXTBOOK_S3_URL"], region_name="us-east-1")
    s3.put_object(Bucket=os.environ["TEXTBOOK_BUCKET"], Key=key, Body=png, ContentType="image/png")
    return key
