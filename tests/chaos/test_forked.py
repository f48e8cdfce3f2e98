"""Commands that are forked from a warm process."""

import os
from functools import partial
from pathlib import Path

import pytest

from chaos.fleet.forked import ForkedCommand
from tests.chaos.loaded import note_loaded

pytestmark = pytest.mark.enable_socket


def test_a_forked_command_finds_its_libraries_loaded(tmp_path: Path) -> None:
    """For any first caller: a preload list not of `chaos.fleet.warm` would undo it for all."""
    notes = tmp_path / "notes"
    command = ForkedCommand(
        ["--version"],
        {"PATH": os.environ["PATH"]},
        tmp_path,
        out=tmp_path / "said",
        first=partial(note_loaded, notes),
    )
    assert command.wait(30) == 0
    loaded = set(notes.read_text().splitlines())
    assert {
        "billiard.pool",
        "celery.app.amqp",
        "celery.apps.worker",
        "chaos.fleet.frozen",
        "darkroom.cli.processes.worker",
        "gateway.hooks",
        "tasks.broker.task_request",
        "tasks.celery_app",
        "tasks.submission.submit_task",
    } <= loaded
