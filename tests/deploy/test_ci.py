"""CI's script says the same words as everybody else, and its exit status is honest."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run(
    root: Path, folder: Path, *, check: str = "", test: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a copy of the script, in a folder with a space in its path, beside a stub of `make`."""
    clone = folder / "a clone"
    (clone / ".ci").mkdir(parents=True)
    shutil.copy(root / ".ci" / "run", clone / ".ci" / "run")
    make = folder / "make"
    make.write_text(
        f'#!/bin/sh\necho "make $1 CI=$CI NAMESPACE=$DARKROOM_NAMESPACE"\n'
        f'case "$1" in check) {check or ":"};; test) {test or ":"};; esac\n',
        encoding="utf-8",
    )
    make.chmod(0o755)
    # A Python whose `-m venv` answers at once, and servers that are there: what a bare Debian lacks
    # is neither tried nor installed here.
    python = folder / "python"
    for stub in (python, folder / "rabbitmq-server", folder / "pgbouncer"):
        stub.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        stub.chmod(0o755)
    return subprocess.run(
        [str(clone / ".ci" / "run")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        cwd=folder,
        env={
            "PATH": f"{folder}:{Path(sys.executable).parent}:{os.defpath}",
            "HOME": str(folder),
            "PYTHON": str(python),
            "DARKROOM_NAMESPACE": "mine",
        },
    )


def test_it_checks_and_tests_as_in_ci(root: Path, tmp_path: Path) -> None:
    """Run `make check`, `make test` with CI=true, no settings inherited; pytest's line is last."""
    line = "==== 3 passed, 1 skipped in 1.00s ===="
    done = run(root, tmp_path, test=f'echo "{line}"')
    assert done.returncode == 0, done.stderr
    said = [text for text in done.stdout.splitlines() if text.startswith("make ")]
    assert said == ["make check CI=true NAMESPACE=", "make test CI=true NAMESPACE="]
    assert done.stdout.splitlines()[-1] == line


@pytest.mark.parametrize(
    ("check", "test"),
    [
        ("exit 2", "echo '=== 3 passed in 1.00s ==='"),
        ("", "echo '=== 1 failed, 3 passed in 1.00s ==='; exit 2"),
        ("", "exit 2"),
        ("", "echo '=== no tests ran in 0.01s ==='"),
        ("", ":"),
    ],
)
def test_what_went_wrong_is_its_exit_status(
    root: Path, tmp_path: Path, check: str, test: str
) -> None:
    """A failed check, a failed test, a run that broke off or tested nothing is no success."""
    assert run(root, tmp_path, check=check, test=test).returncode != 0
