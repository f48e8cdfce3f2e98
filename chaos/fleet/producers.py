"""Producers that submit as fast as they can, over HTTP and by message at once.

A client over HTTP is correct: it repeats a request under its idempotency key until it gets an
answer, whatever happens to connections. A message counts as sent once the broker has it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain
from uuid import UUID, uuid4

import requests

from chaos.fleet.fleet import Fleet, Stuck
from tests.services.server import Server

__all__ = ["Producers"]

#: As many as one gateway process serves well, and what keeps a queue of messages from being empty.
CLIENTS = 16
SENDERS = 2

#: One in so many jobs of a burst is submitted before the fault.
BEGUN = 6

ANSWER_WITHIN_S = 30.0
AGAIN_AFTER_S = 0.05


class Producers:
    """Submits bursts of jobs by both ways.

    Args:
        fleet: takes the messages, and makes the requests.
        port: returns the port of the gateway, which may be another one after a while.

    Attributes:
        answered: the job of each request over HTTP that was answered with success.
        sent: the job of each message that the broker has.
        refused: answers that a correct client does not expect.
        repeated: how many requests had to be repeated.
        known: how many answers were for a job that an earlier, unanswered request had made.
    """

    def __init__(self, fleet: Fleet, port: Callable[[], int]) -> None:
        self._fleet = fleet
        self._port = port
        self._guard = threading.Lock()
        self._killed = threading.Event()
        self._begun = 0
        self.answered: list[UUID] = []
        self.sent: list[UUID] = []
        self.refused: list[str] = []
        self.repeated = 0
        self.known = 0

    @property
    def submitted(self) -> list[UUID]:
        """Return every job that a client or the broker has confirmed."""
        return [*self.answered, *self.sent]

    def burst(
        self, each: int, kill: Callable[[], None], revive: Callable[[], None], within_s: float
    ) -> None:
        """Submit at least so many jobs by each way, and kill something in the middle of it.

        Messages begin once requests are being answered. A broker takes messages faster than workers
        make rows of them, so messages wait in their queue at that moment. Both ways go on until it
        has come.

        Raises:
            Stuck: a job could not be submitted.
        """
        until = time.monotonic() + within_s
        answered, sent = len(self.answered), len(self.sent)
        self._killed.clear()
        threads = self._threads(CLIENTS, self._post_all, range(each), until)
        begun = each // BEGUN
        self._fleet.wait_until(
            lambda: len(self.answered) >= answered + begun, within_s, "answers before the fault"
        )
        threads += self._threads(SENDERS, self._send_all, range(each), until)
        self._fleet.wait_until(
            lambda: len(self.sent) >= sent + begun, within_s, "messages before the fault"
        )
        kill()
        self._killed.set()
        revive()
        for thread in threads:
            thread.join()
        if missing := self._begun - len(self.submitted):
            raise Stuck(f"{missing} jobs could not be submitted: {self.refused[:1]}")

    def _threads(
        self,
        count: int,
        work: Callable[[Iterator[int], float], None],
        numbers: range,
        until: float,
    ) -> list[threading.Thread]:
        shared = chain(numbers, iter(self._goes_on, None))
        threads = [
            threading.Thread(target=work, args=(shared, until), daemon=True) for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _goes_on(self) -> int | None:
        """Return the number of a further job; None after the fault."""
        return None if self._killed.is_set() else self._begun

    def _next(self, numbers: Iterator[int]) -> int | None:
        with self._guard:
            number = next(numbers, None)
            self._begun += number is not None
            return number

    def _send_all(self, numbers: Iterator[int], _until: float) -> None:
        while (number := self._next(numbers)) is not None:
            job_id = uuid4()
            self._fleet.send(number, str(job_id))
            self.sent.append(job_id)

    def _post_all(self, numbers: Iterator[int], until: float) -> None:
        with requests.Session() as session:
            while (number := self._next(numbers)) is not None:
                self._post(session, number, until)

    def _post(self, session: requests.Session, number: int, until: float) -> None:
        """Submit a job repeatedly under its key until it is confirmed."""
        body, key = {"request": self._fleet.request(number)}, uuid4().hex
        attempts = 0
        while time.monotonic() < until:
            attempts += 1
            with suppress(requests.RequestException, ValueError):
                answer = session.post(
                    f"http://{Server.host}:{self._port()}/v1/jobs",
                    json=body,
                    headers={"Idempotency-Key": key},
                    timeout=ANSWER_WITHIN_S,
                )
                if answer.status_code in {200, 202}:
                    self._note(
                        UUID(answer.json()["id"]), attempts, is_known=not answer.json()["created"]
                    )
                    return
                if answer.status_code < 500:
                    self.refused.append(f"{answer.status_code} {answer.text[:300]}")
                    return
            time.sleep(AGAIN_AFTER_S)

    def _note(self, job_id: UUID, attempts: int, *, is_known: bool) -> None:
        with self._guard:
            self.answered.append(job_id)
            self.repeated += attempts - 1
            self.known += is_known
