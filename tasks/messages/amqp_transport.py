"""Extend Kombu's transport to RabbitMQ so that malformed messages do not end the connection.

amqp decodes the properties of a message with their frame, inside the connection. A timestamp beyond
Python's range, or a table nested a thousand deep, ends the connection there, and RabbitMQ delivers
the message again. If a header frame cannot be decoded, this transport removes its properties.
"""

import sys
from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any

from amqp.basic_message import Message as FrameMessage
from amqp.exceptions import AMQPError
from amqp.method_framing import frame_handler
from kombu.message import Message
from kombu.transport import pyamqp

from tasks.messages.body import opened_body
from tasks.messages.fault import MessageFault

__all__ = ["AmqpTransport", "SecureAmqpTransport", "tolerant_handler"]

_pyamqp: Any = pyamqp
_FrameMessage: Any = FrameMessage

#: Frame types of AMQP 0-9-1, section 4.2.3.
_HEADER_FRAME = 2

_HEADER_FORMAT = ">HHQ"
"""Class, weight and body size, which property flags follow (section 4.2.6.1)."""


class _Message(_pyamqp.Message):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """A message with unchecked fields; its faults are in `errors`."""

    def __init__(self, msg: Any, channel: Any = None, **_: Any) -> None:
        properties = msg.properties
        Message.__init__(
            self,
            channel=channel,
            delivery_tag=msg.delivery_tag,
            content_type=properties.get("content_type"),
            content_encoding=properties.get("content_encoding"),
            delivery_info=msg.delivery_info,
            properties=properties,
        )
        self.raw_body = msg.body
        self.headers = properties.get("application_headers") or {}
        try:
            self.body = opened_body(msg.body, compression=self.headers.get("compression"))
        except MessageFault:
            self.errors = [sys.exc_info()]


class _Channel(_pyamqp.Channel):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    Message = _Message

    def __init__(self, *args: Any, **options: Any) -> None:
        # Bodies stay bytes: some of Python's decoders take quadratic time in a text's length.
        super().__init__(*args, **{**options, "auto_decode": False})


class _Connection(_pyamqp.Connection):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    Channel = _Channel

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"frame_handler": tolerant_handler, **options})

    def connect(self, callback: Callable[[], Any] | None = None) -> Any:
        """Connect and log in; if the login is refused, close the socket.

        amqp 5.4 closes it only after an `OSError`. Without this, each refused login holds a file
        descriptor until the garbage collection.
        """
        try:
            return super().connect(callback)
        except AMQPError:
            self.collect()
            raise


class AmqpTransport(_pyamqp.Transport):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """The transport over plain TCP."""

    Connection = _Connection


class SecureAmqpTransport(_pyamqp.SSLTransport):  # type: ignore[misc]  # Kombu's stubs lack most of what is used here
    """The transport over TLS."""

    Connection = _Connection


def tolerant_handler(connection: Any, callback: Any) -> Callable[[Any], bool]:
    """Return the function that the connection calls for each frame."""
    on_frame: Callable[[Any], bool] = frame_handler(connection, callback)

    def on_any_frame(frame: Any) -> bool:
        frame_type, channel, buffer = frame
        if frame_type == _HEADER_FRAME and not _is_readable(buffer):
            frame = (frame_type, channel, _bare(buffer))
        return on_frame(frame)

    return on_any_frame


def _is_readable(buffer: Any) -> bool:
    try:
        _FrameMessage().inbound_header(buffer)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a decoder may raise anything on foreign bytes
        return False
    return True


def _bare(buffer: Any) -> bytes:
    """Return the header frame without its properties."""
    return pack(_HEADER_FORMAT, *unpack_from(_HEADER_FORMAT, buffer, 0)) + b"\0\0"
