"""`darkroom worker`, with every library's logger at DEBUG: run as a module, by a test."""

import logging

import darkroom.logs
from darkroom.__main__ import main

LIBRARIES = ("amqp", "botocore", "boto3", "celery", "kombu", "redis", "s3transfer", "sqlalchemy")
CHATTY = (*LIBRARIES, "urllib3", "urllib3.connectionpool", "celery.app.trace")


def be_loud() -> None:
    """Have nothing quietened, and wake what is quiet by itself."""
    vars(darkroom.logs).update(_QUIET=(), _SILENT=())
    for name in (*CHATTY, "celery.worker.strategy", "sqlalchemy.engine", "sqlalchemy.pool"):
        logging.getLogger(name).setLevel(logging.DEBUG)


if __name__ == "__main__":
    be_loud()
    main()
