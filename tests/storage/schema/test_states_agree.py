"""The drawing, the enum and the CHECKs say the same."""

import re
from pathlib import Path
from uuid import UUID

import pytest

import storage
from storage.errors import RecordRefused
from storage.records.states import ENDED, HELD, JobStatus
from storage.schema.constraints import ENDED_SQL, HELD_SQL, JOB_CHECKS
from tests.storage.table import TableUnderTest

PAGE = (Path(__file__).parents[3] / "docs" / "states.md").read_text(encoding="utf-8")
DRAWING = PAGE[PAGE.index("                accept") : PAGE.index("| from | to |")]
STORAGE = Path(storage.__file__).parent
SOURCE = "".join(file.read_text(encoding="utf-8") for file in STORAGE.rglob("*.py"))
STATES_SOURCE = (STORAGE / "records" / "states.py").read_text(encoding="utf-8")
ARROWS = re.findall(r"^\| (\S+) \| (\S+) \| (.+?) \|", PAGE, re.MULTILINE)[2:]
STATES = {str(status) for status in JobStatus}


def test_every_state_is_in_the_drawing_and_in_no_other_words() -> None:
    """The boxes are the enum's members."""
    boxes = set(re.findall(r"│ +([a-z]+) +│", DRAWING))
    assert boxes & STATES == STATES
    assert set(re.findall(r"'(\w+)'", JOB_CHECKS["status_known"])) == STATES


def test_every_arrow_is_between_states_and_made_by_a_public_function() -> None:
    """The table under the drawing names what exists."""
    assert len(ARROWS) > 20
    for source, target, by in ARROWS:
        assert {source, target} <= STATES | {"nowhere"}
        for function in re.findall(r"`(\w+)`", by):
            assert f"def {function}(" in SOURCE


def test_held_and_ended_are_what_the_checks_call_so() -> None:
    """The two groups of states are written twice, once for SQL."""
    assert set(re.findall(r"'(\w+)'", HELD_SQL)) == {str(s) for s in HELD}
    assert set(re.findall(r"'(\w+)'", ENDED_SQL)) == {str(s) for s in ENDED}
    assert HELD | ENDED | {JobStatus.QUEUED} == set(JobStatus)


@pytest.mark.parametrize("status", list(JobStatus))
def test_every_member_says_who_enters_and_who_leaves(status: JobStatus) -> None:
    """One comment per member, above it."""
    comment = STATES_SOURCE[: STATES_SOURCE.index(f'{status.name} = "{status}"')].rpartition(
        "\n\n"
    )[2]
    assert "Entered by" in comment
    assert "left by" in comment


NONSENSE: dict[str, dict[str, object]] = {
    "a status nobody knows": {"status": "resting"},
    "succeeded without images": {"status": "succeeded"},
    "failed without a reason": {"status": "failed"},
    "running without a worker": {"status": "running"},
    "queued, and held": {"worker_id": UUID(int=1)},
    "queued, and asked to stop": {"cancel_asked": True},
    "queued, with images": {"images": [{"index": 0}]},
    "a negative count": {"attempts": -1},
    "more unknown calls than calls": {"calls_unknown": 1},
    "calls forgiven that were never made": {"calls_before": 1},
    "half an error": {"error_code": "X"},
    "nobody's error": {"error_code": "X", "error_message": "x", "error_whose": "fate"},
}


@pytest.mark.parametrize("what", NONSENSE)
def test_nonsense_is_refused_by_the_database_itself(table: TableUnderTest, what: str) -> None:
    """Even typed by hand, past every transition."""
    job_id = table.accept()
    with pytest.raises(RecordRefused):
        table.overwrite(job_id, **NONSENSE[what])


def test_an_ended_row_keeps_its_time_and_a_held_one_its_deadline(table: TableUnderTest) -> None:
    """The times that define a state cannot be taken from it."""
    done, running = table.finished(table.accept()).id, table.claimed(table.accept()).id
    for job_id, column in (
        (done, "ended_at"),
        (done, "images"),
        (done, "image_in_hand_at"),
        (running, "call_deadline"),
        (running, "claim_token"),
    ):
        with pytest.raises(RecordRefused):
            table.overwrite(job_id, **{column: None})
