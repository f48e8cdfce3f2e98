"""An answer that is one image alone, read without a JSON parser."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playground.answers.judge import judge
from playground.answers.lone_image import lone_image
from playground.answers.verdict import Answer, Meaning
from tests.playground.pictures import base64_of, picture

PNG = picture(6, 5)
WHOLE = base64_of(PNG)


@pytest.mark.parametrize(
    "body",
    [
        '{"images":["%s"]}',
        '{"images": ["%s"]}',
        '\r\n { "images" :\t[ "%s" ] }\n',
    ],
)
def test_one_image_is_decoded_where_it_lies(body: str) -> None:
    """However its JSON is spaced."""
    assert lone_image(body.replace("%s", WHOLE).encode()) == PNG


@pytest.mark.parametrize(
    "body",
    [
        '{"images":["%s"],"seed":7}',
        '{"seed":7,"images":["%s"]}',
        '{"images":["%s","%s"]}',
        '{"images":["data:image/png;base64,%s"]}',
        '{"images":["%s","sorry"]}',
    ],
)
def test_other_good_answers_are_the_parsers(body: str) -> None:
    """They are not the usual ones, and their image is found all the same."""
    data = body.replace("%s", WHOLE).encode()
    assert lone_image(data) is None
    assert judge(Answer(200, {}, data)).images[0].data == PNG


def test_an_escaped_letter_is_the_parsers() -> None:
    """JSON has a second spelling for an i; base64 has none."""
    escaped = WHOLE.replace("i", "\\u0069", 1)
    data = f'{{"images":["{escaped}"]}}'.encode()
    assert lone_image(data) is None
    assert judge(Answer(200, {}, data)).meaning is Meaning.RECEIVED


@pytest.mark.parametrize(
    "body",
    [
        '{"images":["%s"]',
        '{"images":["%s"}]',
        '{"images":["%s\n"]}',
        '{"images":["%s"]}x',
        '\v{"images":["%s"]}',
        '{"images":[%s]}',
        '{"images":["%s]}',
    ],
)
def test_what_is_no_json_is_left_to_the_thorough_way(body: str) -> None:
    """The quick way takes only what a strict parser would; the picture is found all the same."""
    data = body.replace("%s", WHOLE).encode()
    assert lone_image(data) is None
    assert [png.data for png in judge(Answer(200, {}, data)).images] == [PNG]


PARTS = st.sampled_from(
    ['{"images":["', '"]}', '"', "]", "}", "\\", " ", "\v", ",", "=", "QUJD", "QQ==", "é", "\n"]
)


@given(st.lists(PARTS, max_size=8).map("".join))
def test_it_never_says_other_than_the_parser(text: str) -> None:
    """Whatever is taken here is JSON of that one string, whole and strict."""
    found = lone_image(text.encode())
    if found is not None:
        assert json.loads(text) == {"images": [json.loads(text)["images"][0]]}
        assert base64_of(found).rstrip("=") == json.loads(text)["images"][0].rstrip("=")
