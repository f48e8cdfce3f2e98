"""The gallery page, from plain records."""

from html.parser import HTMLParser
from pathlib import Path

from darkroom.demo.gallery import gallery
from darkroom.demo.made import Made, Refused

EVIL = "<script>alert('x')</script> & \"quotes\""


class Page(HTMLParser):
    """Every element with its attributes, and every text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append(data)


def page(*, mark: str = "simulated") -> Page:
    """A gallery of one picture and one refusal, both with hostile words."""
    made = Made(
        name="fox",
        prompt=EVIL,
        model="Playground_v3",
        look="cinematic",
        seed=4711,
        width=768,
        height=512,
        size_bytes=1,
        sha256="0" * 64,
        object_key="darkroom/images/1/1-0.png",
        seconds=2.34,
        file=Path("/somewhere/01 a#fox?.png"),
    )
    refused = Refused("no", EVIL, "by the API", f"PROMPT_UNSAFE: {EVIL}")
    return Page(
        gallery(
            [made], [refused], title="Darkroom", line="one", mark=mark, foot="x", folder="pictures"
        )
    )


def test_words_from_outside_stay_words() -> None:
    """No prompt or answer becomes part of the page's code."""
    found = page()
    assert "script" not in {tag for tag, _ in found.tags}
    assert sum(EVIL in text for text in found.texts) == 3
    assert [attrs["alt"] for tag, attrs in found.tags if tag == "img"] == [EVIL]


def test_the_page_needs_nothing_but_the_pictures_beside_it() -> None:
    """Every address is relative and quoted; there is no script, sheet or font from elsewhere."""
    addresses = [
        value
        for _, attrs in page().tags
        for name, value in attrs.items()
        if name in {"src", "href", "srcset", "action"}
    ]
    assert addresses == ["pictures/01%20a%23fox%3F.png"] * 2
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page().tags}


def test_each_picture_has_its_facts() -> None:
    """Model, look, size, seed and time to the eye; the key to be copied."""
    text = " ".join(page().texts).replace("\N{NO-BREAK SPACE}", " ")
    for fact in ("Playground_v3", "cinematic", "768 \N{MULTIPLICATION SIGN} 512", "seed 4711"):
        assert fact in text
    assert "2.3 s" in text
    assert "darkroom/images/1/1-0.png" in text


def test_only_simulated_pages_say_so() -> None:
    """A real run carries no such mark."""
    assert "simulated" in page().texts
    assert "simulated" not in page(mark="").texts
