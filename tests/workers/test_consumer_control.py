"""A tap on a queue keeps to what was asked last, over every reconnection."""

from collections.abc import Callable
from typing import Any

from workers.consumer_control import ConsumerControl


class Consumer:
    """Celery's consumer as far as a tap knows it: consuming, until told otherwise."""

    def __init__(self, *, consumes: bool = True) -> None:
        self.consumes = consumes
        self.asked: list[Callable[[], None]] = []

    def call_soon(self, p: Callable[..., Any], *args: Any) -> None:
        """Note it for the consumer's own thread."""
        self.asked.append(lambda: p(*args))

    def cancel_task_queue(self, queue: str) -> None:
        """Stop."""
        assert queue == "darkroom.generate"
        self.consumes = False

    def add_task_queue(self, queue: str) -> None:
        """Start."""
        assert queue == "darkroom.generate"
        self.consumes = True

    def turn(self) -> None:
        """Do what was asked, in an order that is not promised."""
        for ask in reversed(self.asked):
            ask()
        self.asked.clear()


def test_what_was_asked_of_a_lost_connection_holds_on_the_next() -> None:
    """Celery remembers a cancelled queue over reconnections, and loses what it had no time for."""
    flow = ConsumerControl("darkroom.generate")
    first = Consumer()
    flow.attach(first)
    flow.pause()
    first.turn()
    assert not first.consumes
    flow.resume()  # and the connection is lost before the consumer's thread comes to it
    second = Consumer(consumes=False)
    flow.attach(second)
    second.turn()
    assert second.consumes
    flow.pause()
    third = Consumer()
    flow.attach(third)
    third.turn()
    assert not third.consumes


def test_a_stop_that_was_taken_back_at_once_stops_nothing() -> None:
    """The event loop does not do things in the order they were asked for."""
    flow = ConsumerControl("darkroom.generate")
    consumer = Consumer()
    flow.attach(consumer)
    flow.pause()
    flow.resume()
    consumer.turn()
    assert consumer.consumes
    flow.resume()
    flow.pause()
    consumer.turn()
    assert not consumer.consumes


def test_messages_are_left_until_every_reason_is_gone() -> None:
    """A full inbox, a worker that paused itself, storage that is away: each has its own end."""
    flow, consumer = ConsumerControl("darkroom.generate"), Consumer()
    flow.attach(consumer)
    flow.pause()
    flow.pause("worker paused")
    flow.pause("worker paused")
    flow.resume()
    consumer.turn()
    assert (consumer.consumes, flow.is_paused) == (False, True)
    flow.resume("worker paused")
    consumer.turn()
    assert (consumer.consumes, flow.is_paused) == (True, False)


def test_what_is_asked_before_there_is_a_consumer_holds_from_its_start() -> None:
    """The process looks at the fleet before Celery has connected."""
    flow, consumer = ConsumerControl("darkroom.generate"), Consumer()
    flow.pause()
    flow.attach(consumer)
    consumer.turn()
    assert not consumer.consumes


def test_a_consumer_is_told_nothing_new_where_nothing_has_changed() -> None:
    """Each command to the broker costs a round trip, and an inbox fills many times a second."""
    flow, consumer = ConsumerControl("darkroom.generate"), Consumer()
    flow.attach(consumer)
    consumer.turn()
    flow.resume()
    assert consumer.asked == []
    flow.pause()
    flow.pause()
    assert len(consumer.asked) == 1
