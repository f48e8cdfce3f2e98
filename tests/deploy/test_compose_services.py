"""What the Compose file says is true of this project, and safe on the machine it runs on."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from chaos.fleet.forked import ForkedCommand
from darkroom import __version__
from darkroom.settings import load_settings, misspelt
from gateway.processes import STOP_GRACE_S

Services = dict[str, Any]

OURS = ("migrate", "doctor", "worker", "gateway", "simulator")
ONCE = ("migrate", "doctor")
KEEPERS = ("redis", "postgres", "objects")


def seconds(duration: str) -> int:
    """A Compose duration of whole seconds."""
    found = re.fullmatch(r"(\d+)s", duration)
    assert found, duration
    return int(found[1])


@pytest.mark.parametrize("name", ["migrate", "doctor", "worker", "gateway"])
def test_every_variable_is_a_setting_of_ours(
    services: Services, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What a service sets is known, valid, and agrees with the rest."""
    monkeypatch.chdir(tmp_path)
    for variable, value in services[name]["environment"].items():
        monkeypatch.setenv(variable, value)
    assert misspelt() == []
    settings = load_settings()
    assert settings.simulated
    assert settings.database_url is not None


def test_every_variable_of_the_environment_files_is_used(root: Path, compose_text: str) -> None:
    """A line in an environment file that nothing reads would be a promise not kept."""
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", compose_text))
    for path in (root / "deploy" / "simulator.env", root / "deploy" / "real.env.example"):
        named = set(re.findall(r"^#?([A-Z][A-Z0-9_]+)=", path.read_text("utf-8"), re.MULTILINE))
        assert named, path
        assert named <= used, path


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_ours(services: Services, name: str, tmp_path: Path) -> None:
    """The command line knows the command, and each option it is given."""
    command, *options = services[name]["command"]
    told = tmp_path / "told"
    plain = {"PATH": os.defpath, "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
    assert ForkedCommand([command, "--help"], plain, tmp_path, out=told).wait(60) == 0
    for option in options:
        if option.startswith("--"):
            assert re.search(rf"(?<!\S){option}(?!\S)", told.read_text("utf-8")), option


def test_a_stopping_worker_gets_longer_than_it_may_drain(services: Services) -> None:
    """The engine's kill comes only after the drain is over, calls and uploads included."""
    worker = services["worker"]
    drain_s = float(worker["environment"]["DARKROOM_DRAIN_SECONDS"])
    assert seconds(worker["stop_grace_period"]) >= drain_s + 15


def test_the_gateway_is_watched_where_it_listens_and_gets_time_to_end(services: Services) -> None:
    """Its health check asks the port that its settings name, and its readiness, not its life."""
    gateway = services["gateway"]
    port = gateway["environment"]["DARKROOM_GATEWAY_PORT"]
    assert f"http://127.0.0.1:{port}/readyz" in gateway["healthcheck"]["test"][-1]
    assert gateway["ports"][0].endswith(f":{port}")
    assert seconds(gateway["stop_grace_period"]) >= STOP_GRACE_S + 10


def test_a_batch_that_is_handed_in_lies_on_disk_and_not_in_memory(
    composed: dict[str, Any], root: Path
) -> None:
    """Its temporary files go to a volume, whose folder the image gives to the gateway's user."""
    gateway = composed["services"]["gateway"]
    folder = gateway["environment"]["TMPDIR"]
    volume, _, target = gateway["volumes"][0].partition(":")
    assert (volume in composed["volumes"], target) == (True, folder)
    assert folder in (root / "Dockerfile").read_text("utf-8")


def test_every_image_is_pinned(services: Services) -> None:
    """No image changes under an installation that did not ask for it."""
    for name, service in services.items():
        _, _, tag = service["image"].partition(":")
        assert re.match(r"\d+\.\d+", tag), f"{name}: {service['image']}"


def test_our_images_carry_our_version(services: Services) -> None:
    """A release that forgets the Compose file is found here."""
    assert {services[name]["image"].partition(":")[2] for name in OURS} == {__version__}


def test_nothing_is_published_beyond_this_machine(services: Services) -> None:
    """Every published port names the loopback address."""
    published = [port for one in services.values() for port in one.get("ports", [])]
    assert published
    assert all(str(port).startswith("127.0.0.1:") for port in published), published


def test_nobody_is_root(services: Services) -> None:
    """Each service names a user, gives up all capabilities and can gain none."""
    for name, service in services.items():
        assert str(service["user"]).partition(":")[0] not in {"", "0", "root"}, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_what_stays_up_comes_back_and_is_watched(services: Services) -> None:
    """What lasts restarts, and all but the worker, which has its lease, is health-checked."""
    for name in services.keys() - set(ONCE):
        assert services[name]["restart"] == "unless-stopped", name
        assert name == "worker" or services[name]["healthcheck"]["test"], name


def test_what_runs_once_is_waited_for(services: Services) -> None:
    """Worker and gateway start only after the tables exist and the doctor found nothing wrong."""
    for name in ONCE:
        assert services[name]["restart"].startswith("on-failure")
        for who in ("worker", "gateway"):
            waits = services[who]["depends_on"]
            assert waits[name]["condition"] == "service_completed_successfully"


def test_what_must_survive_is_on_a_volume(composed: dict[str, Any]) -> None:
    """Messages, rows, pictures and paid images at rest outlive their containers."""
    services = composed["services"]
    for name in KEEPERS:
        volume = services[name]["volumes"][0].partition(":")[0]
        assert volume in composed["volumes"], name
    spool = services["worker"]["environment"]["DARKROOM_SPOOL_DIR"]
    assert services["worker"]["volumes"] == [f"spool:{spool}"]


def test_the_broker_keeps_what_it_is_given(services: Services) -> None:
    """A submitted job that is no row yet is neither evicted nor forgotten at a restart."""
    command = " ".join(services["redis"]["command"])
    assert "--appendonly yes" in command
    assert "--maxmemory-policy noeviction" in command


def test_no_secret_is_in_the_file(compose_text: str) -> None:
    """Keys and passwords come from the environment, and are asked for by name when missing."""
    secret = re.compile(r"PASSWORD|SECRET|ACCESS_KEY|API_KEY|AUTH$|DATABASE_URL|BROKER_URL")
    lines = re.findall(r"^ +(\w+): (.*)$", compose_text, re.MULTILINE)
    secrets = [(variable, value) for variable, value in lines if secret.search(variable)]
    assert {"DARKROOM_DATABASE_URL", "DARKROOM_BROKER_URL"} <= {name for name, _ in secrets}
    assert [variable for variable, value in secrets if ":?" not in value] == []


def test_simulated_rows_never_meet_real_ones(compose_text: str, composed: dict[str, Any]) -> None:
    """The simulated stack has another name, and so other volumes; its rows say what they are."""
    assert yaml.safe_load(compose_text)["name"] == "${STACK_NAME:-darkroom}"
    assert composed["name"] != "darkroom"
    environment = composed["services"]["worker"]["environment"]
    assert json.loads(environment["DARKROOM_SIMULATED"]) is True
