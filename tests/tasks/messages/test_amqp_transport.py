"""Frames of RabbitMQ's whose properties no Python value can hold are messages all the same."""

from struct import pack
from types import SimpleNamespace
from typing import Any

import pytest

from chaos.malformed.wire import raw_properties
from tasks.messages.amqp_transport import tolerant_handler

METHOD, HEADER, BODY = 1, 2, 3
DELIVER = (60, 60)
TEXT = b"a body"


def delivered(properties: bytes) -> list[Any]:
    """What a connection hands on of a message in three frames."""
    messages: list[Any] = []

    def take(_channel: int, method: tuple[int, int], _arguments: Any, message: Any) -> None:
        assert method == DELIVER
        messages.append(message)

    on_frame = tolerant_handler(SimpleNamespace(bytes_recv=0), take)
    on_frame((METHOD, 1, pack(">HH", *DELIVER)))
    header = pack(">HHQ", 60, 0, len(TEXT)) + properties
    on_frame((HEADER, 1, header))
    on_frame((BODY, 1, TEXT))
    return messages


@pytest.mark.parametrize("properties", list(raw_properties()))
def test_a_frame_that_cannot_be_decoded_is_a_message_without_properties(properties: bytes) -> None:
    """An error there ends the connection, and RabbitMQ delivers the message to the next worker."""
    [message] = delivered(properties)
    assert bytes(message.body) == TEXT
    assert set(message.properties) <= {"application_headers", "timestamp"}


def test_a_frame_that_can_be_decoded_keeps_its_properties() -> None:
    """As most do."""
    kind = b"application/json"
    [message] = delivered(pack(">HB", 1 << 15, len(kind)) + kind)
    assert message.properties == {"content_type": "application/json"}
    assert bytes(message.body) == TEXT
