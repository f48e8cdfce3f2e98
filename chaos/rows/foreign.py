"""Successful answers that are not the API's, or that have an unusual form."""

from itertools import count
from typing import Any

from chaos.rows.api import ApiFault, for_a_while, no_attempt_burned, throughout
from chaos.stage import Stage
from chaos.tally import Tally

__all__ = ["empty_success", "html_page", "untidy"]

WORKERS = 2


def html_page(stage: Stage) -> None:
    """Answer only with an HTML page for a while."""
    found = _nothing_of_the_apis(stage, {"kind": "html"})
    kept = found.charged == len(stage.accepted)
    stage.must("one charge per job: a page costs nothing", kept=kept, found=found.charged)


def empty_success(stage: Stage) -> None:
    """Charge calls and answer them with an empty success for a while."""
    _nothing_of_the_apis(stage, {"kind": "empty", "status": 200})


def untidy(stage: Stage) -> None:
    """Return every picture complete, but in one unusual form or another."""
    found = throughout(stage, [{"kind": "untidy"}])
    stage.all_succeed(found)
    stage.one_call_each(found)


def _nothing_of_the_apis(stage: Stage, fault: ApiFault) -> Tally:
    took_s = for_a_while(stage, [fault], matrix_s=60)
    found = stage.finish()
    stage.all_succeed(found)
    no_attempt_burned(stage, found)
    in_flight = WORKERS * stage.scale.concurrency
    limit = in_flight + _most_probes(stage, took_s)
    stage.must(
        f"unknown calls are at most those in flight ({in_flight}) and the probes",
        kept=0 < found.unknown <= limit,
        found=f"{found.unknown} of at most {limit}",
    )
    return found


def _most_probes(stage: Stage, within_s: float) -> int:
    """Return how many probes the settings allow in a time, if each worker sends its own."""
    settings: dict[str, Any] = stage.fleet.settings
    wait_s, longest_s = float(settings["probe_first_s"]), float(settings["probe_most_s"])
    at_s = 0.0
    for probes in count(1):
        at_s += wait_s
        if at_s > within_s:
            return WORKERS * probes
        wait_s = min(2 * wait_s, longest_s)
    raise AssertionError("unreachable: the probes have no end")
