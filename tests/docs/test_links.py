"""Links between pages, and the paths and commands that they name, lead somewhere."""

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.__main__ import FIGURES

ROOT = Path(__file__).resolve().parents[2]
FENCED = re.compile(r"^( *)```.*?^\1```$", re.DOTALL | re.MULTILINE)
#: A path in backticks: folders and a file, or a folder.
A_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:jsonl|lock|md|py|sh|toml|yml)|(?:[\w-]+/)+)`")
#: Folders of the bucket, which the pages name too.
IN_THE_BUCKET = {"images/", "init/"}


def tracked() -> list[str]:
    """Every file of the repository that git knows or would add, by its path."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    return subprocess.run(
        listed, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()


FILES = tracked()
PAGES = [name for name in FILES if name.endswith(".md")]


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return FENCED.sub("", (ROOT / page).read_text(encoding="utf-8"))


def anchors(page: str) -> set[str]:
    """The anchors that GitHub makes from a page's headings."""
    titles = re.findall(r"^#+ +(.+)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page: str) -> None:
    """A heading that was reworded takes its links with it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        there = ((ROOT / page).parent / path).resolve() if path else ROOT / page
        is_right = there.exists() and (not anchor or anchor in anchors(str(there)))
        broken += [] if is_right else [link]
    assert broken == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_in_a_page_exists(page: str) -> None:
    """In full, or from a folder that the sentence is about, such as `cli/common/options.py`."""
    named = set(re.findall(A_PATH, prose(page))) - IN_THE_BUCKET
    there = [f"/{name}" for name in FILES]
    missing = {
        path
        for path in named
        if not any(
            f"/{path}" in name and (path[-1] == "/" or name.endswith(path)) for name in there
        )
    }
    assert missing == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_module_named_in_a_page_exists(page: str) -> None:
    """`make bench` and `python -m benchmarks`, in blocks as in sentences."""
    text = (ROOT / page).read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    in_blocks = "\n".join(block.group() for block in FENCED.finditer(text))
    typed = {
        *re.findall(r"`make ([a-z]+)", prose(page)),
        *re.findall(r"^make ([a-z]+)", in_blocks, re.MULTILINE),
    }
    assert typed - targets == set()
    modules = re.findall(r"python -m ([a-z_]+(?:\.[a-z_]+)*)", text)
    assert [name for name in modules if importlib.util.find_spec(name) is None] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/design.md", "docs/performance.md"])
def test_every_figure_named_in_a_page_is_measured(page: str) -> None:
    """Those after `--only`, as `make bench` takes them."""
    text = (ROOT / page).read_text(encoding="utf-8")
    named = " ".join(re.findall(r"--only((?: [a-z][a-z-]+)+)", text)).split()
    assert named
    assert set(named) - FIGURES.keys() == set()
