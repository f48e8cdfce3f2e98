"""Batches over real databases: all or nothing, and nothing twice."""

import base64
import hashlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from PIL import Image

import tasks.batches.loader
import tasks.submission.intake
from playground.errors import RequestInvalid
from playground.request import releases
from playground.request.request import RequestLimits
from storage.batches.batches import create_batch, get_batch, list_batches
from storage.batches.counts import batch_progress
from storage.batches.loading import delete_loading
from storage.db.database import Database
from storage.dispatch.reserve import reserve_due
from storage.errors import BatchShut, DatabaseUnavailable
from storage.intake.batch_rows import BatchRow, RowsInCommon, insert_batch_rows
from storage.objects.store import ObjectStore
from storage.queries.pages import list_jobs
from storage.records.job import Job
from storage.records.states import JobStatus
from storage.retention.deletion_queue import spare_init_image
from storage.schema.revision import RELEASE
from tasks.batches.checked_batch import BatchOptions
from tasks.batches.image_files import ImageFiles
from tasks.batches.loader import Loaded
from tasks.batches.reader import FileFormat, LineFile
from tasks.batches.service import Batches
from tasks.batches.staging import Staging
from tasks.batches.valid_line import ValidLine
from tasks.dispatch.enqueue import Dispatch
from tasks.errors import BatchFaulty, BatchKeyTaken, LinesUnreadable, StagingFailed
from tasks.submission.intake import Intake


class Shelf:
    """Keeps initial images in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def put(self, key: str, data: bytes, content_type: str, *, sha256: str) -> None:
        """Keep one."""
        del content_type
        assert sha256 == hashlib.sha256(data).hexdigest()
        self.kept[key] = data


@pytest.fixture
def database(migrated_database: Database) -> Database:
    """A migrated database, SQLite and PostgreSQL in turn."""
    return migrated_database


@pytest.fixture
def shelf() -> Shelf:
    """Where initial images go."""
    return Shelf()


@pytest.fixture
def batches(database: Database, shelf: Shelf) -> Batches:
    """Where batches come in; nothing is dispatched from here."""
    intake = Intake(
        database,
        lambda: cast("ObjectStore", shelf),
        cast("Dispatch", None),
        limits=RequestLimits(),
        key_prefix="test/",
        simulated=True,
    )
    return Batches(intake, database)


def lines(*requests: Any, kind: FileFormat = "jsonl") -> LineFile:
    """A file of these lines."""
    texts = (one if isinstance(one, str) else json.dumps(one) for one in requests)
    return LineFile(io.BytesIO("\n".join(texts).encode()), kind)


def prompts(count: int) -> LineFile:
    """A file of so many good lines."""
    return lines(*({"prompt": f"fox {number}"} for number in range(count)))


def hand_in(batches: Batches, file: LineFile, **options: Any) -> Loaded:
    """Check and load; every line must be good."""
    with batches.check(file, BatchOptions(**options)) as checked:
        checked.require_valid()
        return batches.load(checked)


def jobs_of(database: Database, batch_id: UUID) -> list[Job]:
    """All its jobs."""
    return list_jobs(database, batch_id=batch_id, limit=5000)


def test_every_line_becomes_a_due_job_and_the_counts_say_so(
    database: Database, batches: Batches
) -> None:
    """More than one chunk goes in, and the batch knows its size without counting."""
    loaded = hand_in(batches, prompts(1003), name="night.jsonl")
    progress = batch_progress(database, loaded.batch_id)
    assert (loaded.total, loaded.created, progress.total, progress.queued) == (
        1003,
        True,
        1003,
        1003,
    )
    assert len(jobs_of(database, loaded.batch_id)) == 1003
    assert len(reserve_due(database, limit=2000, stale_after_s=60)) == 1003


def test_a_line_may_say_what_belongs_to_its_job(database: Database, batches: Batches) -> None:
    """Key, metadata and priority are the job's, what all share is the line's unless it differs."""
    file = lines(
        {"prompt": "fox", "key": "a", "metadata": {"sku": 1}, "priority": 5, "width": 512},
        {"prompt": "owl"},
    )
    loaded = hand_in(batches, file, owner="shop", priority=2, defaults={"width": 640})
    owl, fox = sorted(jobs_of(database, loaded.batch_id), key=lambda job: job.priority)
    assert fox.idempotency_key == f"{loaded.batch_id}/a"
    assert (fox.owner, fox.metadata, fox.priority) == ("shop", {"sku": 1}, 5)
    assert (owl.idempotency_key, owl.priority) == (None, 2)
    assert [fox.request["width"], owl.request["width"]] == [512, 640]
    assert "key" not in fox.request
    assert fox.simulated


def test_one_faulty_line_keeps_all_of_them_out(database: Database, batches: Batches) -> None:
    """Nothing is stored, and every fault is reported by line, field, value and rule."""
    file = lines(
        {"prompt": "fox"},
        {"prompt": "", "seed": 0},
        {"prompt": "x", "colour": "red"},
        {"prompt": "x", "key": 7},
        {"prompt": "x", "metadata": [1]},
        "{",
    )
    with pytest.raises(BatchFaulty) as error:
        hand_in(batches, file)
    messages = str(error.value).splitlines()
    assert error.value.count == 5
    assert messages[0].startswith("line 2: prompt = ''")
    assert "seed = 0" in messages[0]
    assert "colour" in messages[1]
    assert messages[2].startswith("line 4: key = 7: must be ")
    assert messages[3].startswith("line 5: metadata = ")
    assert messages[4].startswith("line 6: not JSON")
    assert list_batches(database) == []
    assert list_jobs(database) == []


def test_the_first_hundred_faults_are_told_and_the_others_counted(batches: Batches) -> None:
    """A file of rubbish doesn't fill the screen."""
    with (
        batches.check(lines(*["{"] * 250), BatchOptions()) as checked,
        pytest.raises(BatchFaulty, match=r"and 150 more") as error,
    ):
        checked.require_valid()
    assert len(error.value.faults) == 100


def test_a_line_tells_twenty_faults_and_counts_the_others(batches: Batches) -> None:
    """A hundred lines with thousands of faults each would not fit into memory."""
    with batches.check(
        lines({"prompt": "a", "prompt_rejection_topics": [1] * 50}), BatchOptions()
    ) as checked:
        (fault,) = checked.faults
    assert len(fault.faults) == 20
    assert fault.reason.endswith("; and 30 more")


def test_good_lines_go_in_without_the_faulty_ones_where_that_is_wanted(
    database: Database, batches: Batches
) -> None:
    """Leaving `require_valid` out is the whole of `--skip-invalid`."""
    with batches.check(lines({"prompt": "fox"}, "{", {"prompt": "owl"}), BatchOptions()) as checked:
        loaded = batches.load(checked)
    assert (checked.fault_count, loaded.total) == (1, 2)
    kept = {str(job.request["prompt"]) for job in jobs_of(database, loaded.batch_id)}
    assert kept == {"fox", "owl"}


def test_a_key_that_is_there_twice_is_the_later_lines_fault(
    database: Database, batches: Batches
) -> None:
    """One of the two would silently not be made."""
    file = lines(
        {"prompt": "fox", "key": "a"}, {"prompt": "owl"}, {"prompt": "bear", "key": "a"}, "{"
    )
    with batches.check(file, BatchOptions()) as checked:
        assert [str(fault)[:45] for fault in checked.faults] == [
            "line 3: key 'a' is that of line 1 already",
            "line 4: not JSON: Expecting property name enc",
        ]
        loaded = batches.load(checked)
    assert loaded.total == len(jobs_of(database, loaded.batch_id)) == 2


@pytest.mark.parametrize("content", ["", "\n \r\n\n", "\ufeff"])
def test_an_empty_file_is_one_clear_error(batches: Batches, content: str) -> None:
    """Not a batch of nothing."""
    with pytest.raises(LinesUnreadable, match="no requests"):
        hand_in(batches, LineFile(io.BytesIO(content.encode()), "jsonl"))


def test_a_header_alone_is_an_empty_file_as_well(batches: Batches) -> None:
    """Not a batch of nothing either."""
    with pytest.raises(LinesUnreadable, match="no requests"):
        hand_in(batches, lines("prompt,seed", kind="csv"))


def test_the_same_key_and_content_is_the_same_batch(database: Database, batches: Batches) -> None:
    """A repeated submission stores nothing twice, and finds the batch that is in already."""
    first = hand_in(batches, prompts(3), key="night")
    again = hand_in(batches, prompts(3), key="night")
    assert again == Loaded(first.batch_id, 3, created=False)
    assert len(list_batches(database)) == 1
    assert len(list_jobs(database)) == 3


@pytest.mark.parametrize("options", [{}, {"priority": 1}, {"defaults": {"seed": 5}}])
def test_the_same_key_with_another_content_is_refused(
    batches: Batches, options: dict[str, Any]
) -> None:
    """Other lines, or the same lines with other shared settings, are not that batch."""
    first = hand_in(batches, prompts(3), key="night")
    with pytest.raises(BatchKeyTaken) as error:
        hand_in(batches, prompts(3 if options else 4), key="night", **options)
    assert error.value.batch_id == first.batch_id


def test_a_key_is_its_owners_alone(database: Database, batches: Batches) -> None:
    """Two owners may both call a batch `night`."""
    ids = {hand_in(batches, prompts(1), key="night", owner=name).batch_id for name in ("a", "b")}
    assert len(ids) == len(list_batches(database)) == 2


def test_an_interrupted_load_leaves_nothing_and_can_be_repeated(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C between two chunks: no row stays, and the same key works again."""
    real = insert_batch_rows
    chunks: list[int] = []

    def insert(db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> None:
        if chunks:
            raise KeyboardInterrupt
        chunks.append(len(rows))
        real(db, common, rows)

    monkeypatch.setattr(tasks.batches.loader, "insert_batch_rows", insert)
    with pytest.raises(KeyboardInterrupt):
        hand_in(batches, prompts(1500), key="night")
    assert chunks == [1000]
    assert list_batches(database) == []
    assert list_jobs(database) == []
    monkeypatch.setattr(tasks.batches.loader, "insert_batch_rows", real)
    assert hand_in(batches, prompts(1500), key="night").created


def test_a_load_that_was_killed_is_taken_up_by_the_next_under_its_key(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a kill -9 left is invisible, and the repeat completes it without doubles."""
    with monkeypatch.context() as patched:
        patched.setattr(tasks.batches.loader, "open_batch", _killed)
        patched.setattr(tasks.batches.loader, "delete_loading", lambda *_, **__: True)
        with pytest.raises(SystemExit):
            hand_in(batches, prompts(5), key="night")
    assert list_jobs(database) == []
    assert reserve_due(database, limit=10, stale_after_s=60) == []
    loaded = hand_in(batches, prompts(5), key="night")
    assert (loaded.created, loaded.total) == (True, 5)
    assert len(jobs_of(database, loaded.batch_id)) == 5


class Meanwhile:
    """Does something once, before the second chunk of a load goes in."""

    def __init__(self, patch: pytest.MonkeyPatch, what: Callable[[], object]) -> None:
        self._what = what
        self._chunks = 0
        patch.setattr(tasks.batches.loader, "insert_batch_rows", self)

    def __call__(self, db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> int:
        """Insert a chunk."""
        self._chunks += 1
        if self._chunks == 2:
            self._what()
        return insert_batch_rows(db, common, rows)


def begun_elsewhere(database: Database) -> UUID:
    """The batch `night` as another process begins it, which the next load joins."""
    batch_id = BatchOptions(key="night").batch_id()
    create_batch(database, id=batch_id, key="night")
    return batch_id


def test_a_load_that_joined_another_ends_with_it_and_leaves_no_rows(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two loads under one key breaks off; the other fails, and a repeat goes in."""
    batch_id = begun_elsewhere(database)
    with monkeypatch.context() as patched:
        Meanwhile(patched, lambda: delete_loading(database, batch_id))
        with pytest.raises(BatchShut):
            hand_in(batches, prompts(1500), key="night")
    assert list_batches(database) == []
    assert jobs_of(database, batch_id) == []
    assert hand_in(batches, prompts(2), key="night").created
    assert len(jobs_of(database, batch_id)) == 2


def test_a_load_that_joined_another_leaves_a_third_one_alone(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows do not go into the batch that was begun anew, nor is that one deleted or opened."""
    batch_id = begun_elsewhere(database)

    def begin_anew() -> None:
        delete_loading(database, batch_id)
        begun_elsewhere(database)

    Meanwhile(monkeypatch, begin_anew)
    with pytest.raises(BatchShut):
        hand_in(batches, prompts(1500), key="night")
    third = get_batch(database, batch_id)
    assert (third.abandoned_at, third.opened_at) == (None, None)
    assert jobs_of(database, batch_id) == []


def test_a_load_that_joined_another_does_not_take_it_along_when_it_breaks_off(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The batch is the other's, who goes on."""
    batch_id = begun_elsewhere(database)
    with monkeypatch.context() as patched:
        Meanwhile(patched, _killed)
        with pytest.raises(SystemExit):
            hand_in(batches, prompts(1500), key="night")
    assert get_batch(database, batch_id).abandoned_at is None
    assert len(jobs_of(database, batch_id)) == 1000
    assert hand_in(batches, prompts(1500), key="night").total == 1500


def test_a_load_whose_batch_another_has_opened_is_answered_with_it(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both callers submitted the same batch; the second of the two finds it all there."""
    other: list[Loaded] = []
    Meanwhile(monkeypatch, lambda: other.append(hand_in(batches, prompts(1500), key="night")))
    with batches.check(prompts(1500), BatchOptions(key="night")) as checked:
        begun_elsewhere(database)
        loaded = batches.load(checked)
    assert [(one.total, one.batch_id) for one in other] == [(1500, loaded.batch_id)]
    assert (loaded.total, loaded.created) == (1500, False)
    assert len(jobs_of(database, loaded.batch_id)) == 1500


def _killed(*_: object, **__: object) -> bool:
    raise SystemExit


def test_a_lost_answer_from_the_database_makes_no_double(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk that was committed although the connection broke is sent again harmlessly."""
    real = insert_batch_rows
    lost: list[int] = []

    def insert(db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> None:
        real(db, common, rows)
        if not lost:
            lost.append(len(rows))
            raise DatabaseUnavailable("the connection broke")

    monkeypatch.setattr(tasks.batches.loader, "insert_batch_rows", insert)
    loaded = hand_in(batches, prompts(4))
    assert lost == [4]
    assert len(jobs_of(database, loaded.batch_id)) == loaded.total == 4
    assert get_batch(database, loaded.batch_id).opened_at is not None


def test_a_full_disk_is_one_line_and_hands_in_nothing(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`/dev/full` stands in for a temporary folder without room."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this machine has no /dev/full")
    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: full.open("w+b", buffering=0))
    with pytest.raises(StagingFailed, match=r"^no space .*No space left on device"):
        hand_in(batches, prompts(2))
    assert list_batches(database) == []


@pytest.mark.parametrize(
    "options", [{"owner": "a b"}, {"key": ""}, {"key": "a\0"}, {"priority": 101}]
)
def test_faulty_options_are_told_before_any_line_is_read(
    batches: Batches, options: dict[str, Any]
) -> None:
    """What all lines share is checked once."""
    with pytest.raises(RequestInvalid) as error:
        hand_in(batches, prompts(1), **options)
    assert error.value.faults[0].field == next(iter(options))


def test_a_picture_beside_the_file_is_the_initial_image(
    database: Database, batches: Batches, shelf: Shelf, tmp_path: Path
) -> None:
    """`@name` is read where the file is, kept as an object, and not in the row."""
    picture = _png()
    (tmp_path / "sketch.png").write_bytes(picture)
    file = lines({"prompt": "a harbour", "init_image": "@sketch.png", "strength": 0.5})
    image_files = ImageFiles(tmp_path, 1_000_000)
    with batches.check(file, BatchOptions(), image_files=image_files) as checked:
        checked.require_valid()
        assert shelf.kept == {}
        loaded = batches.load(checked)
    (job,) = jobs_of(database, loaded.batch_id)
    assert shelf.kept == {job.init_image_key: picture}
    assert job.status is JobStatus.QUEUED
    assert job.request["strength"] == "0.5"
    assert "init_image" not in job.request


@pytest.mark.parametrize(
    "name",
    [
        "@../secret.png",
        "@/etc/hosts",
        "@link.png",
        "@missing.png",
        "@.",
        "@",
        "@a\0b",
        "@large.png",
    ],
)
def test_no_other_file_of_this_machine_can_be_named(
    batches: Batches, tmp_path: Path, name: str
) -> None:
    """Not above the folder, not by a full path, not through a link, not too large."""
    folder = tmp_path / "batch"
    folder.mkdir()
    (tmp_path / "secret.png").write_bytes(_png())
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    (folder / "large.png").write_bytes(bytes(10_001))
    file = lines({"prompt": "x", "init_image": name})
    with batches.check(file, BatchOptions(), image_files=ImageFiles(folder, 10_000)) as checked:
        (fault,) = checked.faults
    assert fault.reason.startswith(f"init_image = {name!r}: ")


def test_a_stream_has_nothing_beside_it(batches: Batches) -> None:
    """Without a folder the mark is no base64, and that is the reported fault."""
    file = lines({"prompt": "x", "init_image": "@sketch.png"})
    with batches.check(file, BatchOptions()) as checked:
        (fault,) = checked.faults
    assert "base64" in fault.reason


def test_an_image_in_the_line_itself_works_too(
    database: Database, batches: Batches, shelf: Shelf
) -> None:
    """Lines made by programs carry their pictures along."""
    text = base64.b64encode(_png()).decode()
    loaded = hand_in(batches, lines({"prompt": "x", "init_image": text, "key": "k"}))
    (job,) = jobs_of(database, loaded.batch_id)
    assert list(shelf.kept.values()) == [_png()]
    assert job.idempotency_key == f"{loaded.batch_id}/k"


def test_an_image_that_is_being_deleted_just_then_is_asked_for_again(
    batches: Batches, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One image that cannot be kept for a moment does not cost a whole batch."""
    refused: list[str] = []

    def spare(db: Database, key: str) -> None:
        if not refused:
            refused.append(key)
            raise DatabaseUnavailable("an initial image is being deleted")
        spare_init_image(db, key)

    monkeypatch.setattr(tasks.submission.intake, "spare_init_image", spare)
    text = base64.b64encode(_png()).decode()
    assert hand_in(batches, lines({"prompt": "x", "init_image": text})).created
    assert list(shelf.kept) == refused


def test_long_lines_go_in_a_few_at_a_time(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand lines of a megabyte are never in memory together; longer ones are refused."""
    chunks: list[int] = []

    def insert(db: Database, common: RowsInCommon, rows: Sequence[BatchRow]) -> None:
        chunks.append(len(rows))
        insert_batch_rows(db, common, rows)

    monkeypatch.setattr(tasks.batches.loader, "insert_batch_rows", insert)
    long = {"prompt": "fox " * 240_000}
    loaded = hand_in(batches, lines(*[long] * 5))
    assert (chunks, loaded.total) == ([3, 2], 5)
    with batches.check(lines({"prompt": "fox " * 260_000}), BatchOptions()) as checked:
        assert str(checked.faults[0]) == "line 1: more than 1000000 bytes besides its init_image"


def test_staged_lines_can_be_read_more_than_once() -> None:
    """Looking for doubles and loading both go over them."""
    staging = Staging()
    line = ValidLine(1, "k", str(uuid4()), "0" * 64, '{"prompt":"ü \\"fox\\""}', None, -3, None)
    staging.add(line)
    assert list(staging) == list(staging) == [line]
    staging.close()


def test_metadata_of_any_size_of_number_and_any_depth_is_kept(
    database: Database, batches: Batches
) -> None:
    """Metadata is JSON, which bounds neither; what comes back is what was submitted."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    metadata = [{"large": 2**70}, {"deep": deep}, {"plain": 0.1}]
    file = lines(*({"prompt": "fox", "metadata": one} for one in metadata))
    loaded = hand_in(batches, file)
    found = [job.metadata for job in jobs_of(database, loaded.batch_id)]
    assert all(one in found for one in metadata)


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "orange").save(out, "PNG")
    return out.getvalue()


def test_lines_that_use_a_new_parameter_say_which_release_they_need(
    database: Database, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those alone: the others can be served by every supported release."""
    monkeypatch.setattr(releases, "PARAMETERS", {"expand_prompt": RELEASE + 1, "width": RELEASE})
    plain, wide = {"prompt": "a"}, {"prompt": "b", "width": 512}
    newest = {"prompt": "c", "width": 512, "expand_prompt": True}
    loaded = hand_in(batches, lines(plain, wide, newest))
    jobs = jobs_of(database, loaded.batch_id)
    needed = {job.request["prompt"]: job.needs_release for job in jobs}
    assert needed == {"a": None, "b": RELEASE, "c": RELEASE + 1}
    alone = [
        batches._intake.new_job(raw, *batches._intake.check(raw, {})).needs_release
        for raw in (plain, wide, newest)
    ]
    assert alone == [None, RELEASE, RELEASE + 1]
