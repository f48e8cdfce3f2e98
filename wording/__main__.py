"""`python -m wording`: list phrases that a plain word should replace."""

import io
import re
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent

Phrases = Sequence[tuple[re.Pattern[str], str]]

#: Quoted code, which is not prose.
_CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
#: After these a string is a statement of its own: a docstring.
_STARTS = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENCODING}


@dataclass(frozen=True, slots=True)
class Found:
    """A phrase, where it is and what to write instead."""

    file: str
    line: int
    words: str
    instead: str


def main() -> int:
    """Check every tracked Python file and page; return the exit status: 1 if there are phrases."""
    wanted, status = phrases(), 0
    for file in _tracked():
        text = (ROOT / file).read_text("utf-8")
        for one in in_text(file, text, wanted, is_python=file.endswith(".py")):
            sys.stdout.write(f'{one.file}:{one.line}: "{one.words}": {one.instead}\n')
            status = 1
    return status


def phrases() -> Phrases:
    """Read the phrases and what to write instead."""
    listed = tomllib.loads((FOLDER / "phrases.toml").read_text("utf-8"))["phrases"]
    return [
        (re.compile(rf"\b(?:{words})\b", re.IGNORECASE), instead)
        for words, instead in listed.items()
    ]


def in_text(file: str, text: str, wanted: Phrases, *, is_python: bool) -> Iterator[Found]:
    """Find phrases in the prose of a file.

    Args:
        file: its path, as it is reported.
        text: all of it.
        wanted: the phrases.
        is_python: whether only comments and docstrings are prose.
    """
    pieces = _prose(text) if is_python else [(1, text)]
    for first_line, piece in pieces:
        prose = _CODE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), piece)
        for pattern, instead in wanted:
            for match in pattern.finditer(prose):
                line = first_line + prose.count("\n", 0, match.start())
                yield Found(file, line, match[0], instead)


def _tracked() -> list[str]:
    command = ["git", "ls-files", "-z", "*.py", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    own = ("wording/", "tests/wording/")
    return [name for name in listed.split("\0") if name and not name.startswith(own)]


def _prose(source: str) -> Iterator[tuple[int, str]]:
    """Yield each comment and docstring of Python source, with its first line's number."""
    is_start = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT or (token.type == tokenize.STRING and is_start):
            yield token.start[0], token.string
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            is_start = token.type in _STARTS


if __name__ == "__main__":
    raise SystemExit(main())
