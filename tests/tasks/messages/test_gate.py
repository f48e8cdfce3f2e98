"""Every task message is read whole before Celery sees it, and ends by itself where it is wrong."""

import bz2
import json
import lzma
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from kombu.compression import compress
from kombu.serialization import prepare_accept_content

from chaos.malformed.shapes import MARK, SHAPES, Shape
from chaos.malformed.wire import put_on_redis, raw_elements
from tasks.messages.body import check_size, opened_body
from tasks.messages.fault import MessageFault, shown_id
from tasks.messages.gate import EXPIRES, FAULT, MessageGate, is_fault_of_message
from tasks.messages.redis_transport import RedisTransport, parsed_element
from tasks.messages.rejected import RejectedMessages
from tasks.queues import Queues

LATER = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
EARLIER = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
BODY: list[Any] = [[], {"request": {"prompt": "a fox"}}, {}]


class Channel:
    """A channel that remembers what became of its messages."""

    no_ack_consumers = None

    def __init__(self) -> None:
        self.rejected: list[bool] = []

    def basic_reject(self, tag: str, *, requeue: bool) -> None:
        """Remember it."""
        del tag
        self.rejected.append(requeue)


class List:
    """A Redis that keeps what is put on its one list."""

    def __init__(self) -> None:
        self.element = b""

    def lpush(self, queue: str, element: str) -> None:
        """Keep it."""
        del queue
        self.element = element.encode()


class Case:
    """One message before a gate."""

    def __init__(self, element: bytes, queue: str) -> None:
        self.channel = Channel()
        self.rejected = RejectedMessages()
        self.postponed: list[float] = []
        self.message: Any = RedisTransport.Channel.Message(
            parsed_element(element), channel=self.channel, queue=queue
        )
        self.message.accept = prepare_accept_content(["json"])
        gate = self.gate = MessageGate(
            queues=Queues("darkroom"), rejected=self.rejected, postpone=self
        )
        errors: list[Any] = self.message.errors
        self.goes_on = (
            gate.refuse(self.message, queue, errors[0][1])
            if errors
            else gate.admit(self.message, queue, lambda *_: None)
        )

    def deliver_later(
        self, message: Any, queue: str, delay_s: float, call_after: Callable[..., Any]
    ) -> None:
        """Note the delay."""
        del message, queue, call_after
        self.postponed.append(delay_s)


def case(shape: Shape, job_id: UUID | None = None, queue: str = "darkroom.submit") -> Case:
    """A message of some shape."""
    kept: Any = List()
    put_on_redis(kept, queue, shape, job_id or uuid4())
    return Case(kept.element, queue)


def test_the_shapes_are_many() -> None:
    """Sixty at least on each broker."""
    assert len(SHAPES) >= 90
    assert len([shape for shape in SHAPES if not shape.is_for_redis_alone]) >= 60
    assert len({shape.name for shape in SHAPES}) == len(SHAPES)


@pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.name) for shape in SHAPES])
def test_a_malformed_message_is_rejected_or_goes_on_as_its_id_alone(
    shape: Shape, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the id can be read, a row is to say what is wrong; nothing else of it is left."""
    job_id = uuid4()
    found = case(shape, job_id)
    assert found.goes_on == shape.leaves_row
    if shape.leaves_row:
        assert found.message.headers["id"] == str(job_id)
        assert found.message.headers["task"] == "darkroom.submit"
        assert found.message.headers[FAULT].reason
        assert found.message.payload == ([], {}, {})
        assert found.channel.rejected == []
    else:
        assert found.channel.rejected == [False]
        assert sum(found.rejected.counts().values()) == 1
    assert MARK not in repr([vars(record) for record in caplog.records])


@pytest.mark.parametrize("shape", [pytest.param(shape, id=shape.name) for shape in SHAPES[::4]])
def test_a_malformed_dispatch_is_only_rejected(shape: Shape) -> None:
    """Its jobs stay due in the table."""
    found = case(shape, queue="darkroom.generate")
    assert not found.goes_on
    assert found.channel.rejected == [False]


def test_a_malformed_dispatch_in_the_queue_for_jobs_makes_no_row() -> None:
    """Its id is the message's and no job's."""
    found = case(Shape("misplaced", {"task": "darkroom.generate", "id": str(uuid4())}, b"\xff"))
    assert (found.goes_on, found.channel.rejected) == (False, [False])


@pytest.mark.parametrize("element", list(raw_elements()))
def test_a_list_element_without_an_envelope_is_rejected(element: bytes) -> None:
    """Nothing in it says which job it is."""
    found = Case(element, "darkroom.submit")
    assert not found.goes_on
    assert found.channel.rejected == [False]


@pytest.mark.parametrize("queue", ["darkroom.submit", "darkroom.generate"])
def test_a_task_of_a_newer_release_is_postponed_whatever_is_in_it(queue: str) -> None:
    """Its body is not even looked at."""
    found = case(Shape("newer", {"task": "darkroom.newer", "id": 7}, b"\xff"), queue=queue)
    assert not found.goes_on
    assert len(found.postponed) == 1
    assert found.rejected.counts() == {}


def test_a_message_for_later_is_postponed_until_then() -> None:
    """Celery would hold it in the worker."""
    found = case(Shape("later", {"eta": LATER}, BODY))
    assert not found.goes_on
    assert 0 < found.postponed[0] <= 3600  # counted from when this file was loaded
    assert case(Shape("now", {"eta": EARLIER}, BODY)).goes_on


def test_what_expires_goes_on_with_its_time() -> None:
    """The time is not passed to Celery itself: Celery would drop the message without a row."""
    found = case(Shape("expires", {"expires": EARLIER}, BODY))
    assert found.goes_on
    assert found.message.headers[EXPIRES] == datetime.fromisoformat(EARLIER)
    assert "expires" not in found.message.headers


def test_a_valid_message_goes_on_with_its_arguments_and_callbacks_alone() -> None:
    """What shows arguments in logs and events is replaced, what means nothing here is left out."""
    callback = {"task": "shop.accepted", "args": [], "kwargs": {}, "options": {}}
    body = [[], BODY[1], {"callbacks": [callback], "chord": None, "chain": None}]
    more = {"argsrepr": MARK, "kwargsrepr": MARK, "group": 7, "stamps": [MARK], FAULT: "forged"}
    found = case(Shape("valid", more, body))
    assert found.goes_on
    assert found.message.payload == ([], BODY[1], {"callbacks": [callback]})
    assert MARK not in repr(found.message.headers)
    assert FAULT not in found.message.headers


@pytest.mark.parametrize(
    "body",
    [
        {"task": "darkroom.submit", "id": "its-id", "kwargs": {"request": {}}},
        {"task": "darkroom.submit", "id": "its-id", "args": [{}], "kwargs": {}, "retries": 0},
    ],
)
def test_a_message_of_protocol_1_goes_on_like_any_other(body: dict[str, Any]) -> None:
    """Producers on Celery 3 send it."""
    job_id = uuid4()
    kept: Any = List()
    put_on_redis(kept, "darkroom.submit", Shape("old", body=body), job_id)
    envelope = json.loads(kept.element)
    envelope["headers"] = {}
    found = Case(json.dumps(envelope).encode(), "darkroom.submit")
    assert found.goes_on
    assert found.message.headers["id"] == str(job_id)


@pytest.mark.parametrize("compression", ["application/x-gzip", "bzip2", "xz"])
def test_a_compressed_message_goes_on_unfolded(compression: str) -> None:
    """As Celery's own producers compress, where they are configured to."""
    packed, kind = compress(json.dumps(BODY), compression)
    found = case(Shape("packed", {"compression": kind}, packed))
    assert found.goes_on
    assert found.message.payload == ([], BODY[1], {})


def test_two_messages_with_one_tag_are_two() -> None:
    """Acknowledging one must not forget the other."""
    shape = Shape("valid", body=BODY, envelope={}, properties={"delivery_tag": "1"})
    tags = {case(shape).message.delivery_tag for _ in range(2)}
    assert len(tags) == 2


def test_messages_that_end_at_the_gate_are_progress_and_those_that_go_on_are_not() -> None:
    """The watchdog takes a worker that only rejects for one that works."""
    rejected = case(Shape("wrong", {"task": ["a", "list"]}, BODY), queue="darkroom.generate")
    later = case(Shape("later", {"eta": LATER}, BODY))
    newer = case(Shape("newer", {"task": "darkroom.newer"}, BODY))
    assert [each.gate.ended for each in (rejected, later, newer)] == [1, 1, 1]
    assert case(Shape("now", {}, BODY)).gate.ended == 0


def test_a_message_that_cannot_be_rejected_is_counted_all_the_same() -> None:
    """Its connection is gone: the broker delivers it again, and no worker ends because of it."""
    found = case(Shape("now", {}, BODY))

    def lose(*_: object, **__: object) -> None:
        raise ConnectionResetError

    found.message.channel.basic_reject = lose
    found.gate.reject(found.message, "darkroom.submit", MessageFault("body", "TypeError"))
    assert found.rejected.counts() == {"body": 1}


def test_a_message_is_rejected_once() -> None:
    """A second answer for one delivery would close RabbitMQ's channel."""
    found = case(Shape("wrong", {"task": ["a", "list"]}, BODY), queue="darkroom.generate")
    found.gate.reject(found.message, "darkroom.generate", TypeError())
    assert found.channel.rejected == [False]


def test_a_machine_in_trouble_rejects_no_message() -> None:
    """Without memory to read it, it is for another worker, or for later."""
    found = case(Shape("now", {}, BODY))
    found.message.headers["task"] = "darkroom.submit"

    def no_memory() -> object:
        raise MemoryError

    found.message.decode = no_memory
    with pytest.raises(MemoryError):
        found.gate.admit(found.message, "darkroom.submit", lambda *_: None)
    assert (found.channel.rejected, found.rejected.counts()) == ([], {})


@pytest.mark.parametrize(
    ("error", "is_fault"),
    [
        (KeyError("args"), True),
        (ValueError("bad"), True),
        (TypeError("bad"), True),
        (RuntimeError("bad"), True),
        (RecursionError("deep"), True),
        (OSError("image file is truncated"), True),
        (OSError(28, "No space left on device"), False),
        (TimeoutError(), False),
        (ConnectionResetError(), False),
        (MemoryError(), False),
        (RuntimeError("can't start new thread"), False),
        (ZeroDivisionError(), False),
    ],
    ids=repr,
)
def test_what_a_message_caused_is_told_from_what_the_machine_lacks(
    error: Exception, *, is_fault: bool
) -> None:
    """The last one stands for an error of the connection, as the transport lists them."""
    assert is_fault_of_message(error, (ZeroDivisionError,)) is is_fault


def test_an_id_is_shown_escaped_and_no_longer_than_64_characters() -> None:
    """It is the text of another application, and goes to a terminal."""
    assert shown_id("a" * 99) == "a" * 64
    assert shown_id("\x1b[2J\n") == "\\x1b[2J\\n"
    assert len(shown_id("\n" * 64)) == 64
    assert shown_id(["prompt"]) == "(list)"


@pytest.mark.parametrize(
    ("length", "is_refused"), [(9, False), (10, False), (11, True), (99, True)]
)
def test_a_text_beyond_the_bound_is_refused(length: int, *, is_refused: bool) -> None:
    """Whether it came as a message or by another way in."""
    with pytest.raises(MessageFault, match="size") if is_refused else nullcontext():
        check_size(b"1" * length, 10)


@pytest.mark.parametrize(
    ("name", "packed"),
    [("zlib", zlib.compress), ("bzip2", bz2.compress), ("xz", lzma.compress)],
    ids=["zlib", "bzip2", "xz"],
)
def test_a_body_is_unfolded_to_the_bound_and_no_further(
    monkeypatch: pytest.MonkeyPatch, name: str, packed: Callable[[bytes], bytes]
) -> None:
    """A few kilobytes may unfold to gigabytes; half a body is none."""
    monkeypatch.setattr("tasks.messages.body.MAX_BODY_BYTES", 10)
    assert opened_body(packed(b"x" * 10), compression=name) == b"x" * 10
    with pytest.raises(MessageFault, match="size"):
        opened_body(packed(b"x" * 11), compression=name)
    with pytest.raises(MessageFault, match="compression"):
        opened_body(packed(b"x" * 10)[:-3], compression=name)
    with pytest.raises(MessageFault, match="compression"):
        opened_body(b"not packed at all", compression=name)
