"""Test which commands a Redis user may run, without changing anything.

Inside MULTI, Redis checks a command's permissions when it queues it. So every command that a worker
or a gateway sends is queued with its real keys, and then the transaction is discarded.
"""

from collections.abc import Iterable
from typing import Any

from redis import ConnectionPool
from redis.exceptions import NoPermissionError, ResponseError

from tasks.notices.ended import ended_channel
from tasks.queues import Queues

__all__ = ["broker_commands", "limits_commands", "refused_commands"]

Command = tuple[str, ...]

#: The hash of no existing script: EVALSHA is queued all the same.
_NO_SCRIPT = "0" * 40


def broker_commands(queues: Queues, conf: Any) -> list[Command]:
    """List the commands by which Kombu declares, sends, receives, acknowledges and restores.

    Args:
        queues: the fleet's queues.
        conf: the Celery app's configuration.
    """
    names = conf.broker_transport_options
    unacked, index = names["unacked_key"], names["unacked_index_key"]
    mutex = names["unacked_mutex_key"]
    commands: list[Command] = [("PING",)]  # Redis refuses WATCH inside MULTI for every user
    for queue in (queues.generate, queues.submit):
        for key in _by_priority(queue):
            commands += [("LLEN", key), ("EXISTS", key), ("BRPOP", key, "1")]
        commands += [("LPUSH", queue, "x"), ("RPUSH", queue, "x")]
    for kind in ("binding", "binding_permanent"):
        commands.append(("SADD", f"_kombu.{kind}.{conf.task_default_queue}", "x"))
    commands += [
        ("SMEMBERS", f"_kombu.binding.{conf.task_default_queue}"),
        *(("HSET", unacked, "x", "x"), ("HGET", unacked, "x"), ("HDEL", unacked, "x")),
        *(("ZADD", index, "0", "x"), ("ZREM", index, "x")),
        ("ZRANGE", index, "0", "0", "BYSCORE", "REV"),
        *(("SET", mutex, "x", "PX", "1", "NX"), ("GET", mutex), ("DEL", mutex)),
        *(("EVALSHA", _NO_SCRIPT, "1", mutex), ("SCRIPT", "LOAD", "return 1")),
    ]
    return commands + (_remote_control(conf) if conf.worker_enable_remote_control else [])


def _by_priority(queue: str) -> list[str]:
    """List the Redis keys of a queue: Kombu uses one for each priority step."""
    return [queue, *(f"{queue}\x06\x16{step}" for step in (3, 6, 9))]


def _remote_control(conf: Any) -> list[Command]:
    """List the further commands that Celery's `inspect` and `control` need."""
    exchange = f"{conf.control_exchange}.pidbox"
    deadlines = "_kombu.binding_deadlines"
    return [
        *(("LLEN", key) for key in _by_priority(f"x.{exchange}")),
        ("LPUSH", f"x.reply.{exchange}", "x"),
        ("SADD", f"_kombu.binding.{exchange}", "x"),
        ("ZADD", deadlines, "0", "x"),
        ("ZRANGEBYSCORE", deadlines, "-inf", "0"),
        ("PUBLISH", f"/0.{exchange}", "x"),
        ("PSUBSCRIBE", f"/0.{exchange}"),
    ]


def limits_commands(namespace: str) -> list[Command]:
    """List the commands of the limits, with their scripts', and those that announce ended jobs."""
    ended = ended_channel(namespace)
    calls, rate = f"{namespace}:call-budget", f"{namespace}:owner-rate:{{x}}"
    return [
        *(("SCRIPT", "LOAD", "return 1"), ("TIME",)),
        *(("EVALSHA", _NO_SCRIPT, "1", calls), ("EVALSHA", _NO_SCRIPT, "1", rate)),
        *(("HGETALL", calls), ("HSET", calls, "x", "x"), ("HDEL", calls, "x")),
        ("PEXPIRE", calls, "1"),
        *(("GET", rate), ("PTTL", rate), ("EXISTS", rate), ("INCRBY", rate, "1")),
        *(("SET", rate, "0", "PX", "1"), ("RENAME", rate, rate)),
        *(("PUBLISH", ended, "[]"), ("SUBSCRIBE", ended)),
    ]


def refused_commands(pool: ConnectionPool, commands: Iterable[Command]) -> list[str]:
    """Test which commands a user may not send; nothing is changed.

    Args:
        pool: connections that are logged in as the user.
        commands: commands with their real keys.

    Returns:
        Command and key of each that Redis refuses.

    Raises:
        RedisError: the server does not answer.
    """
    connection: Any = pool.get_connection()
    try:
        if _answer(connection, ("MULTI",)):
            return ["MULTI"]
        refused = [" ".join(words[:2]) for words in commands if _answer(connection, words)]
        _answer(connection, ("DISCARD",))
    finally:
        connection.disconnect()
        pool.release(connection)
    return [name.replace("\x06\x16", ":") for name in refused]


def _answer(connection: Any, words: Command) -> bool:
    """Send one command; return whether Redis refuses it to this user."""
    connection.send_command(*words)
    try:
        connection.read_response()
    except NoPermissionError:
        return True
    except ResponseError:  # another cause: the command is not allowed inside MULTI
        return False
    return False
