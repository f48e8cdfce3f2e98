"""The Celery app for `celery -A darkroom …`, and `submit` for producers in the same environment.

    from darkroom.celery import submit
    submit.delay(request={"prompt": "a paper fox"})

Other codebases need no Darkroom package: they send the task `darkroom.submit` by name.
"""

from celery import Task

from darkroom.settings import load_settings
from darkroom.wiring.worker import WorkerWiring
from tasks.queues import SUBMIT

__all__ = ["app", "submit"]

app = WorkerWiring(load_settings()).app

#: Submits a job by message; its Celery task id is the job id.
submit: Task[..., None] = app.tasks[SUBMIT]
