"""The process that has the libraries loaded, and from which others are forked.

Loading them takes longer than most commands run. An interpreter has one such server for all its
callers, and the last preload list set before its start applies. So the list is set only here.
"""

import multiprocessing

__all__ = ["SERVER"]

SERVER = multiprocessing.get_context("forkserver")
"""Creates processes that need not load the libraries."""

SERVER.set_forkserver_preload(
    [
        "chaos.fleet.worker",
        "darkroom.__main__",
        "darkroom.checks",
        "darkroom.cli",
        "darkroom.cli.common.context",
        "darkroom.cli.common.download",
        "darkroom.cli.common.pause_notice",
        "darkroom.cli.processes.worker",
        "darkroom.checks.preflight",
        "darkroom.wiring.worker",
        "gateway.hooks",
        "rich.console",
        "tasks.broker.task_request",
        "tasks.celery_app",
        "tasks.submission.submit_task",
        # What a command loads by name, and a worker once it has its pool, broker and bucket.
        "billiard.pool",
        "boto3.s3.inject",
        "celery.app.amqp",
        "celery.app.control",
        "celery.app.events",
        "celery.app.log",
        "celery.apps.worker",
        "celery.backends.base",
        "celery.concurrency.thread",
        "celery.events",
        "celery.fixups.django",
        "celery.worker.autoscale",
        "celery.worker.components",
        "celery.worker.consumer",
        "celery.worker.consumer.delayed_delivery",
        "celery.worker.strategy",
        "encodings.ascii",
        "encodings.latin_1",
        "kombu.transport.redis",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite",
        "typer._adapters",
        "typer._click.decorators",
        "chaos.fleet.frozen",
    ]
)
