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
        "darkroom.checks",
        "darkroom.cli",
        "darkroom.cli.common.download",
        "darkroom.cli.processes.worker",
        "darkroom.checks.preflight",
        "darkroom.wiring.worker",
        "gateway.hooks",
        "rich.console",
        # What a worker loads by name, once it has its pool, its broker and its bucket.
        "boto3.s3.inject",
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
        "kombu.transport.redis",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite",
        "chaos.fleet.frozen",
    ]
)
