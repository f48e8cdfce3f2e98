"""From a payload to a request: what is found keeps its type, and what is not is named."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hooks.errors import PayloadUnfit, TemplateFaulty
from gateway.hooks.mapping import fill_all, has_placeholders, parse_template
from gateway.hooks.paths import MISSING, dotted, look_up, parse_path

PAYLOAD: dict[str, Any] = {
    "id": 632910392,
    "product": {"title": "Green tea", "note": None, "tags": ["tea", "green"]},
    "images": [{"src": "a.jpg"}, {"src": "b.jpg"}],
    "price": 9.5,
    "stock": True,
    "a.b": {"c|d": "odd"},
    "0": "zero",
    "empty": "",
}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
TEMPLATE_TEXT = st.text(st.sampled_from(list("{}|.\\ a0b\n\u00fc")) | st.characters(), max_size=20)
TEMPLATES = st.recursive(
    TEMPLATE_TEXT | st.integers() | st.booleans(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=5,
)


def made_of(value: Any, payload: Any = PAYLOAD) -> Any:
    """What one value of the file becomes."""
    return fill_all({"field": parse_template(value)}, payload)["field"]


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("plain", "plain"),
        (7, 7),
        ("A cup of {product.title}", "A cup of Green tea"),
        ("{images.1.src} {images.0.src}", "b.jpg a.jpg"),
        ("{id}", 632910392),
        ("no. {id}", "no. 632910392"),
        ("{price}", 9.5),
        ("{price} each", "9.5 each"),
        ("{stock}", True),
        ("in stock: {stock}", "in stock: true"),
        ("{product.tags}", ["tea", "green"]),
        ("{product.note}", None),
        ("{empty}", ""),
        ("<{empty}>", "<>"),
        ("{ product.title }", "Green tea"),
        ("{0}", "zero"),
        (r"{a\.b.c\|d}", "odd"),
        (["{id}", {"x": "{stock}"}], [632910392, {"x": True}]),
    ],
)
def test_a_value_becomes_what_the_payload_has(written: Any, made: Any) -> None:
    """Alone it keeps its type; in a text it is written as JSON writes it."""
    assert made_of(written) == made
    assert type(made_of(written)) is type(made)


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("{product.name|untitled}", "untitled"),
        ("a {product.name|plain cup} here", "a plain cup here"),
        ("a {product.note|plain cup} here", "a plain cup here"),
        ("{product.note|none}", "none"),
        ("{product.title|untitled}", "Green tea"),
        ("{width|768}", 768),
        ("{flag|true}", True),
        ("{seed|null}", None),
        ('{seed|"7"}', "7"),
        ("{width|768} px", "768 px"),
        ("{note|}", ""),
        ("{note|[1]}", "[1]"),
        ("{note|Infinity}", "Infinity"),
        ("{note|NaN}", "NaN"),
        (r"{note|a \| b \} c}", "a | b } c"),
        ("{images.9.src|nothing}", "nothing"),
        ("{product.tags.title|nothing}", "nothing"),
        ("{empty|768}", 768),
        ("a {empty|cup}", "a cup"),
    ],
)
def test_a_default_stands_where_the_payload_has_nothing(written: str, made: Any) -> None:
    """So are null and an empty text; alone, a default that looks like JSON is JSON."""
    assert made_of(written) == made
    assert type(made_of(written)) is type(made)


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("{{}}", "{}"),
        ("{{id}}", "{id}"),
        ("{{{id}}}", "{632910392}"),
        ("100 {{%}}", "100 {%}"),
    ],
)
def test_doubled_braces_are_braces(written: str, made: str) -> None:
    """As in Python's own format strings."""
    assert made_of(written) == made


def test_every_missing_field_is_named() -> None:
    """With the field of the request that wanted it, all in one answer."""
    templates = parse_template(
        {"prompt": "{product.name} on a {table}", "seed": "{seed}", "job": {"metadata": ["{x.y}"]}}
    )
    with pytest.raises(PayloadUnfit) as caught:
        fill_all(templates, PAYLOAD)
    found = [(fault.field, fault.value, fault.rule) for fault in caught.value.faults]
    assert found == [
        ("prompt", "{product.name}", "in the payload, which has no product.name"),
        ("prompt", "{table}", "in the payload, which has no table"),
        ("seed", "{seed}", "in the payload, which has no seed"),
        ("job.metadata[0]", "{x.y}", "in the payload, which has no x.y"),
    ]


@pytest.mark.parametrize("written", ["tags: {product.tags}", "all: {product}"])
def test_a_list_or_an_object_is_no_part_of_a_text(written: str) -> None:
    """How it should be written is not defined."""
    with pytest.raises(PayloadUnfit, match="to stand within a text"):
        made_of(written)


def test_null_is_no_part_of_a_text() -> None:
    """A picture of "null" is never wanted."""
    with pytest.raises(PayloadUnfit, match=r"has no product\.note"):
        made_of("a {product.note}")


@pytest.mark.parametrize(
    "written", ["{", "}", "a } b", "{a", "{}", "{a..b}", "{.a}", "{|x}", "{a{b}}"]
)
def test_a_placeholder_that_is_none_is_refused_when_the_file_is_read(written: str) -> None:
    """Not when the first delivery comes."""
    with pytest.raises(TemplateFaulty):
        parse_template({"prompt": [written]})


def test_what_came_in_is_not_read_as_a_template() -> None:
    """A title with braces is a title."""
    assert made_of("{t} {t}", {"t": "{id} {{"}) == "{id} {{ {id} {{"


def test_a_number_that_cannot_be_written_is_a_fault() -> None:
    """Python refuses to print it; the parser of bodies lets none through."""
    with pytest.raises(PayloadUnfit):
        made_of("no. {id}", {"id": 10**5000})


@given(TEMPLATES, JSON)
def test_nothing_but_its_own_errors_is_raised(raw: Any, payload: Any) -> None:
    """Whatever the file says, and whatever comes in."""
    try:
        templates = parse_template({"field": raw})
    except TemplateFaulty:
        return
    faults = None
    try:
        fill_all(templates, payload)
    except PayloadUnfit as error:
        faults = error.faults
    if faults is not None:
        assert faults
        assert all(fault.field.startswith("field") for fault in faults)


@given(st.text())
def test_any_text_can_be_written_with_doubled_braces(text: str) -> None:
    """So no prompt is out of reach."""
    written = text.replace("{", "{{").replace("}", "}}")
    assert not has_placeholders(parse_template(written))
    assert made_of(written) == text


@given(st.lists(st.text(min_size=1), min_size=1, max_size=4), JSON)
def test_any_name_can_be_written_in_a_path(names: list[str], value: Any) -> None:
    """With a backslash before what would mean something else."""
    path = tuple(names)
    payload = value
    for name in reversed(names):
        payload = {name: payload}
    if path[0].strip() == path[0] and path[-1].strip() == path[-1]:
        assert parse_path(dotted(path)) == path
    assert look_up(payload, path) is value


def parts_of(payload: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every part of a payload, with the path to it."""
    yield (), payload
    named = payload.items() if isinstance(payload, dict) else ()
    numbered = enumerate(payload) if isinstance(payload, list) else ()
    for name, value in (*named, *numbered):
        for path, part in parts_of(value):
            yield (str(name), *path), part


@given(JSON, st.lists(st.text(max_size=3), max_size=4))
def test_a_path_leads_to_a_part_of_the_payload_or_nowhere(payload: Any, path: list[str]) -> None:
    """Never to an attribute, a method, or an error."""
    parts = dict(parts_of(payload))
    assert all(look_up(payload, name) is part for name, part in parts.items())
    found = look_up(payload, tuple(path))
    assert found is MISSING or any(found is part for part in parts.values())


@pytest.mark.parametrize("path", ["images.-1", "images.2", "images.1_0", "images.\u0661", "id.x"])
def test_a_place_that_is_not_in_a_list_is_missing(path: str) -> None:
    """Only plain digits count, from the front."""
    assert look_up(PAYLOAD, parse_path(path)) is MISSING
