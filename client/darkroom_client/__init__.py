"""Submit image jobs to a Darkroom gateway, from any Python program.

    from darkroom_client import Client

    client = Client("https://darkroom.example.com", "drk_...")
    client.submit("a paper fox").wait().images[0].save("fox.png")

`webhooks` verifies what the gateway sends back; `testing` replaces the gateway in your tests.
"""

from darkroom_client.batch import Batch, BatchState, Result, Stopped
from darkroom_client.body import Request
from darkroom_client.client import Client
from darkroom_client.errors import (
    Conflict,
    DarkroomError,
    Fault,
    Forbidden,
    GatewayFault,
    ImageDamaged,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    NoAnswer,
    NotFound,
    NotTheGateway,
    Refused,
    StartTimeout,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WaitTimeout,
    WebhookInvalid,
    WebhookStale,
)
from darkroom_client.events import Event
from darkroom_client.image import Image
from darkroom_client.job import Job
from darkroom_client.retries import Retries
from darkroom_client.state import Calls, Delivery, JobState, Picture, Problem, Times
from darkroom_client.version import __version__

__all__ = [
    "Batch",
    "BatchState",
    "Calls",
    "Client",
    "Conflict",
    "DarkroomError",
    "Delivery",
    "Event",
    "Fault",
    "Forbidden",
    "GatewayFault",
    "Image",
    "ImageDamaged",
    "InvalidRequest",
    "Job",
    "JobCancelled",
    "JobFailed",
    "JobState",
    "NoAnswer",
    "NotFound",
    "NotTheGateway",
    "Picture",
    "Problem",
    "Refused",
    "Request",
    "Result",
    "Retries",
    "StartTimeout",
    "Stopped",
    "Times",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WaitTimeout",
    "WebhookInvalid",
    "WebhookStale",
    "__version__",
]
