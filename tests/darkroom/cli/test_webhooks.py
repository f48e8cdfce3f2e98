"""`darkroom webhooks`, and the secrets that sign: looked at, sent again, made once."""

from collections.abc import Callable
from uuid import UUID, uuid4

import pytest
from standardwebhooks.webhooks import Webhook

from storage.db.database import Database
from storage.jobs.cancel import ask_cancel
from storage.records.delivery import DeliveryState
from storage.webhooks.log import latest_delivery
from storage.webhooks.record_attempts import Verdict
from storage.webhooks.secrets import signing_secrets
from tests.darkroom.cli.conftest import CommandLine
from tests.storage.deliveries import claim_deliveries, record_attempt

URL = "https://shop.example.com/done"


@pytest.fixture
def told(tables: Database, a_job: Callable[..., UUID]) -> Callable[..., str]:
    """Makes a delivery whose last attempt failed; its id."""

    def make(owner: str = "shop", url: str = URL) -> str:
        job_id = a_job(owner=owner, callback_url=url)
        ask_cancel(tables, job_id)
        for claimed in claim_deliveries(tables, owner, token=uuid4(), limit=9, lease_s=60):
            verdict = Verdict(
                DeliveryState.FAILED, latency_ms=1234, status=500, answer="oh\n\x1b[31mno"
            )
            record_attempt(tables, claimed, verdict)
        delivery = latest_delivery(tables, job_id=job_id)
        assert delivery is not None
        return str(delivery.id)

    return make


def test_deliveries_are_listed_and_shown_with_their_log(
    at_table: CommandLine, told: Callable[..., str]
) -> None:
    """A line each, newest first; what a receiver said cannot steer the terminal."""
    first, second = told(), told("other")
    listed = at_table("webhooks", "list")
    assert [line.split()[0] for line in listed.out.splitlines()] == [second, first]
    assert "job.cancelled" in listed.out
    assert "failed after 1 (500)" in listed.out
    page = at_table("webhooks", "list", "--limit", "1")
    assert page.lines == [f"there are more: add --before {second}"]
    rest = at_table("webhooks", "list", "--before", second, "--json").json
    assert (rest["id"], rest["state"], rest["target"]) == (first, "failed", URL)
    shown = at_table("webhooks", "show", first)
    assert f"to {URL}" in shown.out
    assert "500 in 1,234 ms oh\\n\\x1b[31mno" in shown.out
    log = at_table("webhooks", "show", first, "--json").json["log"]
    assert [(line["number"], line["status"]) for line in log] == [(1, 500)]
    for wrong in (str(uuid4()), "what"):
        assert at_table("webhooks", "show", wrong).status == 1


def test_filters_say_which(at_table: CommandLine, told: Callable[..., str]) -> None:
    """By owner, state, event and moment; none that fits is said."""
    mine = told()
    told("other")
    for filters, count in (
        (["--owner", "shop"], 1),
        (["--state", "failed"], 2),
        (["--state", "disabled"], 0),
        (["--event", "job.cancelled", "--since", "1h"], 2),
        (["--job", str(uuid4())], 0),
        (["--batch", str(uuid4())], 0),
    ):
        assert len(at_table("webhooks", "list", "--json", *filters).json_lines) == count, filters
    assert mine in at_table("webhooks", "list", "--owner", "shop").out


def test_a_replay_counts_first_and_then_sends_again(
    at_table: CommandLine, told: Callable[..., str]
) -> None:
    """By id or by filter; a call that names neither, or both, is a wrong one."""
    mine, other = told(), told("other")
    dry = at_table("webhooks", "replay", "--undelivered", "--owner", "shop", "--dry-run")
    assert dry.out == "1 would be sent again (1 job.cancelled)\n"
    done = at_table("webhooks", "replay", "--owner", "shop", "--json").json
    assert (done["deliveries"], done["replayed"], done["dry_run"]) == (1, 1, False)
    assert at_table("webhooks", "show", mine, "--json").json["state"] == "pending"
    named = at_table("webhooks", "replay", other, str(uuid4()))
    assert (named.status, named.out) == (1, "1 are sent again\n")
    assert "there is none" in named.err
    for wrong in ([], [mine, "--undelivered"]):
        assert at_table("webhooks", "replay", *wrong).status == 2


def test_a_jobs_delivery_is_shown_beside_it(
    at_table: CommandLine, told: Callable[..., str]
) -> None:
    """Apart from how the job ended."""
    delivery = told()
    job = at_table("webhooks", "show", delivery, "--json").json["job_id"]
    assert f"{delivery} failed after 1 (500)" in at_table("show", job).out
    assert at_table("show", job, "--json").json["delivery"]["id"] == delivery


def test_a_secret_is_printed_once_and_two_sign_while_they_change(
    at_table: CommandLine, tables: Database
) -> None:
    """Alone on stdout, in the form that receivers' libraries take."""
    made = at_table("owners", "secret", "shop")
    first = made.out.strip()
    Webhook(first)
    assert first not in made.err
    assert signing_secrets(tables, ["shop"])["shop"] == [first]
    again = at_table("owners", "secret", "shop")
    assert (again.status, again.out) == (1, "")
    assert again.lines == ["shop has one already: --rotate it"]
    second = at_table("owners", "secret", "shop", "--rotate", "--json").json["secret"]
    assert signing_secrets(tables, ["shop"])["shop"] == [second, first]
    assert at_table("owners", "secret", "shop", "--rotate").status == 1
    assert at_table("owners", "secret", "shop", "--retire").out == ""
    assert signing_secrets(tables, ["shop"])["shop"] == [second]
    assert at_table("owners", "secret", "shop", "--retire", "--rotate").status == 2
    assert at_table("owners", "secret", "no such\nname").status == 2


def test_a_job_may_name_a_task_to_be_sent(at_table: CommandLine) -> None:
    """`QUEUE=TASK`; one of Darkroom's own is refused before anything is kept."""
    refused = at_table("submit", "a fox", "--on-end", "shop=darkroom.submit")
    assert refused.status == 2
    assert "on_end" in refused.err
    key = at_table("submit", "a fox", "--on-end", "darkroom:call-budget=shop.made")
    assert (key.status, "on_end" in key.err) == (2, True)
    listed = at_table("submit", "a fox", "--on-end", "shop=shop.made", on_end_queues="reports")
    assert (listed.status, "on_end" in listed.err) == (2, True)
    night = at_table(
        "batch", "-", "--on-end", "celery.pidbox=shop.made", given=b'{"prompt": "a fox"}\n'
    )
    assert (night.status, "on_end" in night.err) == (2, True)
    both = at_table("submit", "a fox", "--on-end", "shop=x", "--callback-url", URL)
    assert both.status == 2
