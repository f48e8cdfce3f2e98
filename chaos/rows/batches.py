"""Batches over HTTP whose client, gateway or database fails at the critical moment.

In every row the client behaves correctly: it sends the same lines again under the same key until
the gateway confirms them. Then they must be one complete batch: each line one job, and each job one
call.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import requests

from chaos.fleet.fleet import Fleet, Stuck
from chaos.fleet.gateway import GatewayProcess, gateway_of
from chaos.fleet.proxy import Act, Line, Proxy
from chaos.stage import Stage
from storage.batches.batches import list_batches
from tests.services.server import Server

__all__ = ["batch_cut", "batch_killed", "batch_slow"]

COPY = b"COPY darkroom.jobs"
OPEN = b"UPDATE darkroom.batches SET total"

#: A gateway waits a minute for a client, and a client for a gateway.
ANSWER_WITHIN_S = 90
SLOW_CLIENTS = 6


def batch_cut(stage: Stage) -> None:
    """Drop the client's and the gateway's own connections before and after the commit."""
    postgres = stage.ground.postgres
    fleet = stage.make_fleet()
    cuts = Counter[str]()
    to_table = Proxy(postgres.port, _cutting_statements(cuts))
    through = fleet.database_url.replace(f":{postgres.port}/", f":{to_table.port}/")
    try:
        with gateway_of(fleet, database_url=through) as gateway:
            to_gateway = Proxy(gateway.port, _cutting_uploads(cuts))
            try:
                stage.fault_begins()
                sent = _send_until_in(stage, to_gateway.port, _lines(fleet, stage.scale.jobs))
            finally:
                to_gateway.close()
    finally:
        to_table.close()
    stage.note(", ".join(f"{what} cut" for what in cuts))
    stage.must("each connection was cut", kept=len(cuts) == 5, found=dict(cuts))
    stage.must("the batch was sent three times", kept=sent == 3, found=sent)
    _whole_and_once(stage)


def batch_killed(stage: Stage) -> None:
    """Kill the gateway with -9 when the rows are inserted and the batch is not open yet."""
    fleet = stage.make_fleet()
    with gateway_of(fleet) as stranger:  # another gateway over the same table
        lines = _lines(fleet, stage.scale.jobs)
        _killed_in_mid_load(stage, lines)
        unseen = fleet.counts()["queued"]
        stage.must("the gateway died in mid-load", kept=unseen > 0, found=unseen)
        [batch] = list_batches(fleet.database)
        stage.must("nothing of it can run", kept=batch.opened_at is None)
        _send_until_in(stage, stranger.port, lines)
    _whole_and_once(stage)


def batch_slow(stage: Stage) -> None:
    """Send lines slowly from more clients than batches are loaded at once."""
    fleet = stage.make_fleet()
    each = max(2, stage.scale.jobs // SLOW_CLIENTS)
    pause_s = stage.scale.shortened(20) / each
    with gateway_of(fleet) as gateway:
        stage.fault_begins()
        slow = [_lines(fleet, each) for _ in range(SLOW_CLIENTS)]
        with _sending_slowly(stage, gateway, slow, pause_s) as are_sending:
            _send_until_in(stage, gateway.port, _lines(fleet, each), key="quick")
            stage.must("a quick client is not held up", kept=are_sending())
    _whole_and_once(stage, batches=SLOW_CLIENTS + 1, lines=each * (SLOW_CLIENTS + 1))


def _lines(fleet: Fleet, count: int) -> bytes:
    asked = (fleet.request(number) | {"key": f"line-{number}"} for number in range(count))
    return b"".join(json.dumps(line).encode() + b"\n" for line in asked)


def _post(port: int, body: "bytes | Iterator[bytes]", key: str) -> int:
    """Send a batch once; return the status of the answer."""
    answer = requests.post(
        f"http://{Server.host}:{port}/v1/batches",
        data=body,
        headers={"Content-Type": "application/jsonl", "Idempotency-Key": key},
        timeout=ANSWER_WITHIN_S,
    )
    return answer.status_code


def _send_until_in(stage: Stage, port: int, body: bytes, key: str = "night") -> int:
    """Send a batch repeatedly under its key until it is accepted; return how often.

    Raises:
        Stuck: it is refused, or not accepted in time.
    """
    until = time.monotonic() + stage.scale.patience_s
    for sent in range(1, 1000):
        with suppress(requests.RequestException):
            status = _post(port, body, key)
            if status in {200, 202}:
                return sent
            if status < 500:
                raise Stuck(f"the batch was refused with {status}")
        if time.monotonic() > until:
            break
        time.sleep(0.1)
    raise Stuck("the batch did not get in")


def _killed_in_mid_load(stage: Stage, lines: bytes) -> None:
    """Submit the batch to a gateway that dies just before it opens the batch."""
    is_near = threading.Event()

    def judge(_line: Line, chunk: bytes) -> Act:
        if OPEN in chunk:
            is_near.set()
            return Act.SWALLOW
        return Act.PASS_ON

    postgres = stage.ground.postgres
    to_table = Proxy(postgres.port, judge)
    through = stage.fleet.database_url.replace(f":{postgres.port}/", f":{to_table.port}/")
    try:
        with (
            gateway_of(stage.fleet, database_url=through) as gateway,
            _in_background(lambda: _post(gateway.port, lines, "night")),
        ):
            if not is_near.wait(stage.scale.patience_s):
                raise Stuck("the gateway did not come to open the batch")
            stage.fault_begins()
            gateway.kill()
    finally:
        to_table.close()


@contextmanager
def _in_background(send: Callable[[], object]) -> Iterator[None]:
    def trying() -> None:
        with suppress(requests.RequestException):
            send()

    sender = threading.Thread(target=trying, daemon=True)
    sender.start()
    yield
    sender.join()


@contextmanager
def _sending_slowly(
    stage: Stage, gateway: GatewayProcess, bodies: list[bytes], pause_s: float
) -> Iterator[Callable[[], bool]]:
    """Send a line at a time from several clients; yield a check that all still send."""
    answers: list[int] = []

    def send(number: int, body: bytes) -> None:
        def trickle() -> Iterator[bytes]:
            for line in body.splitlines(keepends=True):
                time.sleep(pause_s)
                yield line

        answers.append(_post(gateway.port, trickle(), f"slow-{number}"))

    senders = [threading.Thread(target=send, args=pair) for pair in enumerate(bodies)]
    for sender in senders:
        sender.start()
    yield lambda: not answers
    for sender in senders:
        sender.join()
    stage.must("every slow client's batch is accepted", kept=set(answers) == {202}, found=answers)


def _cutting_statements(cuts: Counter[str]) -> Callable[[Line, bytes], Act]:
    """Cut the database link: a chunk before its commit, then its reply and that of opening."""
    plan = [("COPY", COPY, Act.CUT_MIDWAY), ("COPY's reply", COPY, Act.CUT_AT_REPLY)]
    plan.append(("opening's reply", OPEN, Act.CUT_AT_REPLY))
    return _each_once(plan, cuts)


def _cutting_uploads(cuts: Counter[str]) -> Callable[[Line, bytes], Act]:
    """Cut the client's link: the lines half-way, then the answer that accepts them."""
    plan = [("upload", b'"prompt"', Act.CUT_MIDWAY), ("answer", b'"prompt"', Act.CUT_AT_REPLY)]
    return _each_once(plan, cuts)


def _each_once(
    plan: list[tuple[str, bytes, Act]], cuts: Counter[str]
) -> Callable[[Line, bytes], Act]:
    """Do each act of a plan once, in order, when its words pass."""
    guard = threading.Lock()
    left = list(plan)

    def judge(_line: Line, chunk: bytes) -> Act:
        with guard:
            if not left or left[0][1] not in chunk:
                return Act.PASS_ON
            what, _, act = left.pop(0)
            cuts[what] += 1
            return act

    return judge


def _whole_and_once(stage: Stage, *, batches: int = 1, lines: int | None = None) -> None:
    """Require so many open batches; each line is a job, each job one picture and one call."""
    fleet, expected = stage.fleet, lines or stage.scale.jobs
    found = list_batches(fleet.database)
    totals = [batch.total for batch in found if batch.opened_at is not None]
    stage.must("each batch is there once", kept=len(found) == batches, found=len(found))
    stage.must("and whole", kept=sum(total or 0 for total in totals) == expected, found=totals)
    stage.accepted.extend(fleet.all_ids())
    many = len(stage.accepted)
    stage.must("every line is one job", kept=many == expected, found=f"{many} of {expected}")
    fleet.start(2)
    tally = stage.finish()
    stage.all_succeed(tally)
    stage.one_call_each(tally)
