"""List the private attributes of Kombu that Darkroom uses, in `tasks` and `workers`.

They are no interface: a new release may change them without notice. `tests/libraries/` compares
this list with the installed release and with the code. If that test fails, adapt the code that it
names, then this list, then the library's bound in `pyproject.toml`.

- A message from outside is read whole by the gate, and Celery gets the gate's result.
- The Redis transport tolerates malformed messages and a Redis that is full, and leaves some
  messages out of the prefetch limit.
- A connection over TLS verifies the host that it connects to.
"""

from collections.abc import Mapping
from typing import Final

__all__ = ["PRIVATE_ATTRIBUTES"]

#: By path: the parameters of a method, or None for what is not a method.
PRIVATE_ATTRIBUTES: Final[Mapping[str, str | None]] = {
    "kombu.connection:Connection._establish_connection": "self",
    "kombu.message:Message._decoded_cache": None,
    "kombu.message:Message._state": None,
    "kombu.messaging:Consumer._active_tags": None,
    "kombu.transport.redis:Channel._brpop_read": "self, options",
    "kombu.transport.redis:Channel._do_restore_message": (
        "self, payload, exchange, routing_key, pipe, leftmost"
    ),
    "kombu.transport.redis:Channel._fanout_queues": None,
    "kombu.transport.redis:Channel._flush_brpop_reauth": "self",
    "kombu.transport.redis:Channel._in_poll": None,
    "kombu.transport.redis:Channel._put": "self, queue, message, kwargs",
    "kombu.transport.redis:Channel._queue_cycle": None,
    "kombu.transport.redis:QoS._delivered": None,
    "kombu.transport.redis:QoS._dirty": None,
    "kombu.transport.redis:QoS._remove_from_indices": "self, delivery_tag, pipe",
    "kombu.transport.virtual:Message._raw": None,
    "kombu.transport.virtual:Transport._callbacks": None,
    "kombu.transport.virtual:Transport._deliver": "self, message, queue",
}
