"""Help: quick, whole, and true to what stands behind it."""

import subprocess
import sys
from typing import get_args

import pytest
import typer
from typer.main import get_command

from darkroom import __version__
from darkroom.cli import app, run
from darkroom.cli.jobs.list_jobs import Status
from playground.request.request import ImageRequest
from simulator.__main__ import _arguments
from storage.records.states import JobStatus
from tasks.submission.options import JobOptions

COMMANDS = sorted(get_command(app).commands)  # type: ignore[attr-defined]  # a group has them

LISTS_WHAT_IS_HEAVY = """
import sys
from darkroom.cli import run
try:
    run(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
heavy = {"boto3", "celery", "kombu", "orjson", "pydantic", "requests", "sqlalchemy", "PIL"}
print("HEAVY", sorted(heavy & set(sys.modules)))
"""

#: How `darkroom submit` spells what is called otherwise inside.
OTHER_NAMES = {
    "prompt_rejection_topics": "--prompt-rejection-topic",
    "idempotency_key": "--key",
    "expires_in_s": "--expires-in",
}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    """What a person waits for at the prompt loads none of the libraries that take long."""
    answer = subprocess.run(
        [sys.executable, "-c", LISTS_WHAT_IS_HEAVY, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.splitlines()[-1] == "HEAVY []"


def help_of(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The help text at 80 columns."""
    with pytest.raises(SystemExit) as ended:
        run([command, "--help"])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The caller need not guess what a command line looks like."""
    assert f"Example: {'darkroom' if command != 'worker' else 'DARKROOM'}" in help_of(
        command, capsys
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_no_option_is_cut_short(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On 80 columns every option is there to be copied, letter for letter."""
    monkeypatch.setenv("COLUMNS", "80")
    text = help_of(command, capsys)
    for option in options_of(command):
        assert option in text


def options_of(command: str) -> set[str]:
    """Every option a command knows, but those with which Darkroom starts its own processes."""
    group = get_command(app)
    parameters = group.commands[command].params  # type: ignore[attr-defined]  # a group has them
    shown = [each for each in parameters if not getattr(each, "hidden", False)]
    return {name for parameter in shown for name in parameter.opts if name.startswith("--")}


def test_submit_has_an_option_for_every_parameter_of_the_request_and_the_job() -> None:
    """Each parameter that the API and the job accept can be given on the command line."""
    names = {*ImageRequest.model_fields, *JobOptions.model_fields} - {"prompt"}
    wanted = {OTHER_NAMES.get(name, "--" + name.replace("_", "-")) for name in names}
    assert wanted <= options_of("submit")


def test_simulator_has_exactly_the_simulators_own_options() -> None:
    """`darkroom simulator` hides none of what `python -m simulator` can do, nor promises more."""
    own = {name for action in _arguments()._actions for name in action.option_strings}
    assert options_of("simulator") - {"--help"} == own - {"-h", "--help"}


def test_list_filters_by_every_status_there_is() -> None:
    """The states named in help are those of the table."""
    assert set(get_args(Status)) == {str(status) for status in JobStatus}


def test_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`darkroom --version` names the release."""
    with pytest.raises(SystemExit) as ended:
        run(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"darkroom {__version__}\n"


def test_a_command_that_does_not_exist_is_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    """Exit status 2, as usual."""
    with pytest.raises(SystemExit) as ended:
        run(["develop"])
    assert ended.value.code == 2
    assert "develop" in capsys.readouterr().err


def test_the_commands_are_typers_own() -> None:
    """The app is what other programs may embed."""
    assert isinstance(app, typer.Typer)
