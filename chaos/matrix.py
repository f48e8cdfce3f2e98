"""The fault matrix: its rows in order, each with the function that plays it."""

from collections.abc import Callable
from dataclasses import dataclass

from chaos.rows import (
    api,
    batches,
    broker,
    database,
    disk,
    failover,
    foreign,
    intake,
    locks,
    machine,
    messages,
    objects,
    one_worker,
    workers,
)
from chaos.stage import Stage

__all__ = ["MATRIX", "Row"]


@dataclass(frozen=True, slots=True)
class Row:
    """One row.

    Attributes:
        name: for `--rows`.
        fault: for the table.
        play: runs it.
        on_sqlite: over a SQLite file instead of PostgreSQL.
    """

    name: str
    fault: str
    play: Callable[[Stage], None]
    on_sqlite: bool = False


MATRIX: tuple[Row, ...] = (
    Row("killed", "kill -9 of a worker with its calls in flight", workers.killed_in_flight),
    Row("steps", "kill -9 at each of seven steps", workers.killed_at_each_step),
    Row(
        "steps-sqlite",
        "kill -9 at each of seven steps, SQLite",
        workers.killed_at_each_step,
        on_sqlite=True,
    ),
    Row("storing", "kill -9 in storing, the spool back much later", workers.killed_in_storing),
    Row("stopped", "SIGSTOP at each of seven steps, SIGCONT later", workers.stopped_at_each_step),
    Row("machine", "workers, broker and database killed together", machine.machine_killed),
    Row("broker", "Redis kill -9, restarted from its file", broker.broker_killed),
    Row("flush", "Redis FLUSHALL", broker.broker_wiped),
    Row("broker-away", "Redis down while producers submit", broker.broker_away),
    Row("submits", "worker killed, database down, submits waiting", broker.submits_waiting),
    Row("restart-db", "PostgreSQL kill -9 and restarted", database.database_restarted),
    Row("db-away", "PostgreSQL down longer than a lease", database.database_away),
    Row("db-locked", "SQLite locked by another writer", database.database_locked, on_sqlite=True),
    Row("db-rows", "PostgreSQL: six rows locked by another transaction", locks.rows_locked),
    Row("db-heartbeat", "PostgreSQL: heartbeats get no answer", locks.heartbeat_stalled),
    Row("db-workers", "PostgreSQL: workers table locked, SHARE", locks.workers_locked),
    Row("db-stalled", "PostgreSQL: answers to one worker stall", locks.answers_stalled),
    Row("failover", "PostgreSQL fails over, seconds of commits lost", failover.failed_over),
    Row("reply", "claim or finish committed, its reply lost", database.reply_lost),
    Row("s3-away", "S3 down", objects.s3_away),
    Row("s3-hangs", "S3 hanging", objects.s3_hanging),
    Row("s3-503", "S3: 503 to half of the puts", objects.puts_refused),
    Row("s3-cut", "S3: connections cut in mid-put", objects.puts_cut),
    Row("s3-changed", "S3: a fifth of the puts changed or cut short", objects.puts_changed),
    Row("429", "API: storm of 429 with Retry-After", api.too_fast),
    Row("500", "API: 30 % answered with 500", api.errors_500),
    Row("resets", "API: resets before and after the work", api.resets),
    Row("hangs", "API: calls that hang", api.hangs),
    Row("trickle", "API: answers that trickle", api.trickles),
    Row("damaged", "API: 10 % damaged PNGs", api.damaged),
    Row("untidy", "API: whole PNGs, untidily wrapped", foreign.untidy),
    Row("html", "API: an HTML page instead", foreign.html_page),
    Row("empty", "API: an empty success, charged", foreign.empty_success),
    Row("key", "API: our key refused", api.wrong_key),
    Row("outage", "API: nothing listens", api.outage),
    Row("one-key", "API: the key of one of two workers revoked", one_worker.key_revoked),
    Row(
        "one-key-sqlite",
        "API: the key of one of two workers revoked, SQLite",
        one_worker.key_revoked,
        on_sqlite=True,
    ),
    Row("one-cut-off", "API: out of reach for one of four workers", one_worker.unreachable),
    Row("rolling", "rolling restart, three times", workers.rolling_restart),
    Row("disk", "disk full in the spool folder", disk.disk_full),
    Row("spool-deleted", "spool folder deleted under the workers", disk.spool_deleted),
    Row("five", "every message delivered five times", broker.delivered_five_times),
    Row("batch-cut", "batch: connections lost before and after commit", batches.batch_cut),
    Row("batch-killed", "batch: gateway kill -9 in mid-load", batches.batch_killed),
    Row("batch-slow", "batch: clients that trickle their lines", batches.batch_slow),
    Row("rabbitmq", "RabbitMQ kill -9 and restarted", broker.rabbitmq_killed),
    Row("intake-killed", "intake: workers and gateways kill -9, Redis", intake.intake_killed),
    Row("messages", "malformed messages among valid ones, Redis", messages.malformed_on_redis),
    Row(
        "messages-rabbitmq",
        "malformed messages among valid ones, RabbitMQ",
        messages.malformed_on_rabbitmq,
    ),
)
