"""Batch files as people have them: what simply works, and how a bad line is reported."""

import gzip
import io
from typing import Any

import pytest

from tasks.batches.reader import MAX_LINE_BYTES, FileFormat, Line, LineFile, format_of
from tasks.errors import LineFault, LinesUnreadable


def read(content: bytes | str, kind: FileFormat = "jsonl") -> list[tuple[int, Any]]:
    """Every line with its number: a dict of its fields, or the reason why not."""
    data = content.encode() if isinstance(content, str) else content
    lines = LineFile(io.BytesIO(data), kind)
    return [
        (one.line, one.reason) if isinstance(one, LineFault) else (one.number, one.fields)
        for one in lines
    ]


FOX = '{"prompt": "a fox"}'


@pytest.mark.parametrize(
    "content",
    [
        f"{FOX}\n",
        FOX,
        f"\ufeff{FOX}\n",
        f"{FOX}\r\n",
        f"  {FOX}  \n\n \r\n\t\n",
        gzip.compress(FOX.encode(), mtime=0),
        gzip.compress(f"\ufeff{FOX}\r\n".encode(), mtime=0),
    ],
)
def test_the_same_line_reads_the_same_however_it_was_saved(content: bytes | str) -> None:
    """Marks, Windows line ends, blank lines, a missing last line end and gzip simply work."""
    assert read(content) == [(1, {"prompt": "a fox"})]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"prompt": "a fox"', "not JSON: Expecting ',' delimiter (column 19)"),
        (b'["a fox"]', "not a JSON object: each line is one request, {\u2026}"),
        (b'{"prompt": "a", "prompt": "b"}', "not JSON that can be read: 'prompt' is there twice"),
        (b'{"prompt": "a", "metadata": {"a": 1, "a": 2}}', "'a' is there twice"),
        (b'{"prompt": "a", "metadata": NaN}', "NaN is no JSON number"),
        (b'{"prompt": "a", "seed": -Infinity}', "-Infinity is no JSON number"),
        (b'{"prompt": "caf\xe9"}', "not UTF-8 (byte 16)"),
        (b"[" * 19_000, "nested too deep"),
        (b'{"seed": ' + b"9" * 5000 + b"}", "not JSON that can be read"),
    ],
)
def test_a_bad_line_is_told_by_its_number_and_the_others_are_read(line: bytes, reason: str) -> None:
    """One bad line spoils nothing but itself."""
    (one, first), (two, told), (four, last) = read(FOX.encode() + b"\n" + line + b"\n\n" + b"{}")
    assert (one, two, four) == (1, 2, 4)
    assert (first, last) == ({"prompt": "a fox"}, {})
    assert reason in told


def test_a_line_of_any_length_takes_little_memory_and_is_refused() -> None:
    """Nothing longer than the bound is held, and the next line is read as if nothing were."""
    long = b'{"prompt": "' + b"x" * (MAX_LINE_BYTES + 5) + b'"}\n'
    assert read(long + FOX.encode()) == [(1, "longer than 32 MB"), (2, {"prompt": "a fox"})]


MANY = "has more than 20000 values"


@pytest.mark.parametrize("many", ["1,", "[],", '"",', '"\\",",'])
def test_a_line_of_very_many_small_values_is_refused_unread(many: str) -> None:
    """Some kilobytes of gzip would become gigabytes of values, and a fault for each."""
    line = f'{{"prompt": "a", "prompt_rejection_topics": [{many * 20_000}1]}}\n'
    assert read(gzip.compress(f"{line}{FOX}".encode())) == [(1, MANY), (2, {"prompt": "a fox"})]


def test_a_record_of_very_many_cells_is_refused_unread() -> None:
    """Over one line or over several."""
    for many in ("," * 30_000, ('"\n",' + "," * 11_000) * 3):
        first = [f"prompt\n{many}\n", "a fox\n"]
        assert read("".join(first), "csv")[0] == (2, MANY)


def test_a_cell_of_very_many_values_stays_text() -> None:
    """What it is taken for says what is wrong with it then."""
    topics, metadata = "|" * 20_001, f"[{'[]' * 20_000}]"
    header = "prompt,prompt_rejection_topics,metadata\n"
    ((_, fields),) = read(f"{header}x,{topics},{metadata}\n", "csv")
    assert (fields["prompt_rejection_topics"], fields["metadata"]) == (topics, metadata)


def test_one_long_text_is_one_value() -> None:
    """Commas, brackets and quotes in a prompt are not counted."""
    prompt = 'a, [b] {c} \\" ' * 60_000
    assert read(f'{{"prompt": "{prompt}"}}') == [(1, {"prompt": prompt.replace("\\", "")})]


def test_more_text_than_a_line_may_have_is_told_before_it_is_looked_at() -> None:
    """An initial image is no text."""
    told = "more than 1000000 bytes besides its init_image"
    long = "x" * 1_000_001
    assert read(f'{{"prompt": "a", "negative_prompt": "{long}"}}') == [(1, told)]
    assert read(f"prompt,negative_prompt\na,{long}\n", "csv") == [(2, told)]
    assert read(f'{{"prompt": "a", "prompt_rejection_topics": ["{long}"]}}') == [(1, told)]
    assert read(f'{{"prompt": "a", "init_image": "{long}"}}')[0][1]["init_image"] == long


@pytest.mark.parametrize("content", ["\ufeff{}".encode("utf-16"), b"\xff\xfe{}"])
def test_utf_16_is_told_as_such(content: bytes) -> None:
    """What Windows calls Unicode is named instead of a screenful of faults."""
    with pytest.raises(LinesUnreadable, match="UTF-16"):
        read(content)


def test_gzip_that_was_cut_short_is_told() -> None:
    """A half download doesn't pass for a short file."""
    packed = gzip.compress(FOX.encode() * 1000, mtime=0)
    with pytest.raises(LinesUnreadable, match="cannot be read to its end"):
        read(packed[:-20])


def test_the_hash_is_of_the_content_not_of_its_packing() -> None:
    """The same lines, gzipped or not, are the same content."""
    hashes = set()
    for content in (FOX.encode(), gzip.compress(FOX.encode())):
        lines = LineFile(io.BytesIO(content), "jsonl")
        assert [one for one in lines if isinstance(one, Line)]
        hashes.add(lines.sha256)
    assert len(hashes) == 1


def test_cells_become_what_their_column_is() -> None:
    """Numbers, switches, topics and metadata are read; an empty cell is an unset parameter."""
    header = "prompt,width,expand_prompt,prompt_rejection_topics,strength,seed,key,metadata"
    row = '"a fox, running",640,TRUE,gambling|brand logos,0.5,,7,"{""sku"": 12}"'
    assert read(f"\ufeff{header}\r\n{row}\r\n", "csv") == [
        (
            2,
            {
                "prompt": "a fox, running",
                "width": 640,
                "expand_prompt": True,
                "prompt_rejection_topics": ["gambling", "brand logos"],
                "strength": "0.5",
                "key": "7",
                "metadata": {"sku": 12},
            },
        )
    ]


def test_a_cell_that_is_no_number_is_left_to_the_rules() -> None:
    """The request's own rule says what is wrong, with the value as it was written."""
    assert read("prompt,width\na fox,wide\n", "csv") == [(2, {"prompt": "a fox", "width": "wide"})]


def test_a_record_over_several_lines_has_the_number_of_its_first() -> None:
    """A cell may hold line ends; blank lines in between are passed over."""
    text = 'prompt,seed\n"one\ntwo",1\n\nthree,2\n'
    assert read(text, "csv") == [
        (2, {"prompt": "one\ntwo", "seed": 1}),
        (5, {"prompt": "three", "seed": 2}),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a fox", "1 cells where the header has 2"),
        (b"a fox,1,2", "3 cells where the header has 2"),
        (b"caf\xe9,1", "not UTF-8 (byte 4)"),
        (b'"a" fox,1', "not CSV: ',' expected after '\"'"),
    ],
)
def test_a_bad_record_is_told_by_its_number_and_the_others_are_read(
    line: bytes, reason: str
) -> None:
    """The same promise as for JSON lines."""
    found = read(b"prompt,seed\na fox,1\n" + line + b"\nan owl,2\n", "csv")
    assert found == [
        (2, {"prompt": "a fox", "seed": 1}),
        (3, reason),
        (4, {"prompt": "an owl", "seed": 2}),
    ]


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("width,height", "line 1: the column 'prompt' is missing"),
        ("prompt;width", "the column 'prompt' is missing; 'prompt;width' is no column"),
        ("prompt,wdith", "line 1: 'wdith' is no column"),
        ("prompt,seed,seed", "line 1: column 'seed' is there twice"),
        ('prompt,"', "line 1: not CSV"),
    ],
)
def test_a_header_that_cannot_be_right_ends_the_reading(header: str, told: str) -> None:
    """One error about the header instead of one for each line below it."""
    with pytest.raises(LinesUnreadable) as error:
        read(f"{header}\na fox,1\n", "csv")
    assert told in str(error.value)


def test_a_cell_that_is_never_closed_does_not_swallow_the_file_silently() -> None:
    """The fault names the line where the record began."""
    found = read('prompt\nfox\n"owl\nbear\n', "csv")
    assert found[0] == (2, {"prompt": "fox"})
    assert found[1][0] == 3
    assert "unexpected end of data" in found[1][1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "jsonl"),
        ("A.CSV", "csv"),
        ("a.ndjson.gz", "jsonl"),
        ("a.txt", None),
        ("-", None),
    ],
)
def test_a_name_tells_the_format(name: str, kind: FileFormat | None) -> None:
    """Only names that leave no doubt are believed."""
    assert format_of(name) == kind
