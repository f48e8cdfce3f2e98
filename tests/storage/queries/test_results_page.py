"""The page about reading results by SQL says what is so."""

import ast
import re
from pathlib import Path

from storage.intake.insert_ended import insert_faulty_job
from storage.jobs.cancel import ask_cancel, cancel_jobs
from storage.jobs.release import retry_later_if_held
from storage.records.call_outcome import CallOutcome
from tests.storage.table import FAULT, TableUnderTest, new_job

PAGE = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")
SQL = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)[0]
MODEL = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
EVERYTHING = "SELECT * FROM darkroom.results_v1"
COLUMNS = re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)


def _on(table: TableUnderTest, sql: str) -> str:
    """The page's SQL, as it says itself to write it on SQLite."""
    if table.db.dialect == "postgresql":
        return sql
    return sql.replace("darkroom.results_v1", "darkroom_results_v1")


def _rows(table: TableUnderTest) -> dict[str, dict[str, object]]:
    with table.db.read() as connection:
        rows = connection.exec_driver_sql(_on(table, EVERYTHING)).mappings()
        return {str(row["id"]): dict(row) for row in rows}


def test_the_columns_are_those_of_the_page_in_its_order(table: TableUnderTest) -> None:
    """The table of columns is complete."""
    with table.db.read() as connection:
        found = connection.exec_driver_sql(_on(table, EVERYTHING)).keys()
    assert list(found) == COLUMNS


def test_the_five_lines_of_sql_run(table: TableUnderTest) -> None:
    """Copied from the page, they show what became of a job."""
    done = table.finished(table.accept())
    with table.db.read() as connection:
        rows = connection.exec_driver_sql(_on(table, SQL)).all()
    assert [(str(r[0]), *r[1:]) for r in rows] == [
        (str(done.id), "succeeded", done.images[0].key, 7, None)
    ]


def test_the_django_model_has_the_views_columns() -> None:
    """Field by field, in order, unmanaged."""
    (model,) = [node for node in ast.parse(MODEL).body if isinstance(node, ast.ClassDef)]
    fields = [
        node.targets[0].id
        for node in model.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    ]
    assert fields == COLUMNS
    compile(MODEL, "results.md", "exec")
    assert "managed = False" in MODEL


def test_a_key_appears_only_when_the_picture_is_there(table: TableUnderTest) -> None:
    """An image on its way has no key yet; one kept by a cancelled job has."""
    storing = table.in_hand(table.accept())
    row = _rows(table)[str(storing.id)]
    assert (row["object_key"], row["object_keys"] in ([], "[]")) == (None, True)
    assert row["image_in_hand_at"] is not None
    queued = table.accept()
    ask_cancel(table.db, queued)
    assert _rows(table)[str(queued)]["error_code"] == "CANCELLED"


def test_a_row_waiting_to_be_tried_again_says_why(table: TableUnderTest) -> None:
    """The error of the last attempt is shown while it waits."""
    job = table.claimed(table.accept())
    retry_later_if_held(table.db, job.id, fence=1, delay_s=9, outcome=CallOutcome(FAULT))
    assert _rows(table)[str(job.id)]["error_code"] == FAULT.code


def test_no_faulty_request_breaks_the_view(table: TableUnderTest) -> None:
    """Seeds that are no numbers are null, not errors."""
    for request in ({"seed": "x"}, {"seed": 1e300}, {"seed": [1]}, {"prompt": "p"}):
        insert_faulty_job(table.db, new_job(request=request), FAULT)
    assert {row["seed"] for row in _rows(table).values()} == {None}


def test_jobs_of_an_unopened_batch_are_not_shown(table: TableUnderTest) -> None:
    """A load that is under way is not a result."""
    _, hidden = table.batch(2, opened=False)
    batch_id, shown = table.batch(2)
    cancel_jobs(table.db, shown)
    rows = _rows(table)
    assert set(rows) == {str(i) for i in shown}
    assert not set(map(str, hidden)) & set(rows)
    assert {str(row["batch"]) for row in rows.values()} == {str(batch_id)}
