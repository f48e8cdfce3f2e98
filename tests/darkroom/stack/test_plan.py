"""What a plan may ask for, and what it comes to, before anything is started."""

import importlib.util
import socket
import sysconfig
from pathlib import Path

import pytest

from darkroom.errors import UserError
from darkroom.stack import LocalStack, Service
from darkroom.stack.data.folder import DataFolder
from darkroom.stack.programs.binaries import (
    check_gateway_parts,
    check_simulator_parts,
    rclone_binary,
    redis_binary,
)
from darkroom.stack.services import child_environment, compose
from tests.darkroom.stack.conftest import MakePlan


@pytest.mark.parametrize(
    ("setting", "field"),
    [("DARKROOM_S3_BUCKET", "s3_bucket"), ("DARKROOM_DATABASE_URL", "database_url")],
)
def test_the_simulator_is_refused_beside_real_storage(
    make_plan: MakePlan, setting: str, field: str
) -> None:
    """Simulated pictures never get among real ones: one line names the setting."""
    plan = make_plan(playground_url=None, **{field: "theirs"})
    with pytest.raises(UserError, match=f"^{setting} is set, DARKROOM_PLAYGROUND_API_KEY is not"):
        LocalStack(plan).__enter__()
    assert not plan.data_dir.exists()


def test_an_endpoint_without_a_bucket_is_refused(make_plan: MakePlan) -> None:
    """Buckets are never guessed."""
    with pytest.raises(UserError, match="DARKROOM_S3_BUCKET is not"):
        make_plan(s3_endpoint_url="http://127.0.0.1:1").check()


@pytest.mark.parametrize("ports", [{"broker": 65536}, {"broker": -1}, {"brokr": 1}])
def test_a_port_that_cannot_be_is_refused(make_plan: MakePlan, ports: dict[str, int]) -> None:
    """Ports end at 65535, and only known services have one."""
    with pytest.raises(UserError, match="ports are 0 to 65535") as refused:
        make_plan(ports=ports).check()
    assert refused.value.exit_status == 2


def test_a_taken_port_is_named(make_plan: MakePlan) -> None:
    """A port that was asked for and is taken stops the start, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        with pytest.raises(
            UserError, match=rf"port {port} on 127.0.0.1, asked for broker, is taken"
        ):
            LocalStack(make_plan(ports={"broker": port})).__enter__()


def test_a_remembered_port_that_a_stranger_took_is_given_up(
    tmp_path: Path, make_plan: MakePlan
) -> None:
    """Ports of last time are kept where possible and replaced where not."""
    folder = DataFolder(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        taken = stranger.getsockname()[1]
        folder.remember("ports.json", {"broker": taken})
        url = compose(make_plan(), folder).variables["DARKROOM_BROKER_URL"]
        assert str(taken) not in url
        assert compose(make_plan(), folder).variables["DARKROOM_BROKER_URL"] == url
    folder.close()


def test_services_that_the_settings_name_are_used(tmp_path: Path, make_plan: MakePlan) -> None:
    """Nothing is started in place of a named service, and its secrets don't show."""
    plan = make_plan(
        broker_url="redis://user:hush@broker.example:6379/0?token=hush",
        database_url="postgresql+psycopg://darkroom:hush@db.example/darkroom",
        s3_bucket="pictures",
        playground_url="https://api.example/v1",
    )
    folder = DataFolder(tmp_path)
    made = compose(plan, folder)
    folder.close()
    assert made.programs == []
    assert set(made.variables) == {"DARKROOM_SPOOL_DIR"}
    assert made.services == [
        Service("database", "postgresql+psycopg://db.example/darkroom", "used"),
        Service("broker", "redis://broker.example:6379/0", "used"),
        Service("s3", "s3://pictures", "used"),
        Service("playground", "https://api.example/v1", "used"),
    ]


def test_the_gateway_has_a_port_and_can_be_left_out(tmp_path: Path, make_plan: MakePlan) -> None:
    """It is shown where it will be, the same next time; without one there is no such service."""
    folder = DataFolder(tmp_path)
    with_one = make_plan(with_gateway=True)
    first, again = compose(with_one, folder), compose(with_one, folder)
    without = compose(make_plan(), folder)
    folder.close()
    url = f"http://127.0.0.1:{first.ports['gateway']}"
    assert first.services[-1] == again.services[-1] == Service("gateway", url, "started")
    assert "gateway" not in [service.name for service in without.services]


def test_a_local_bucket_is_all_the_aws_that_workers_see(
    tmp_path: Path, make_plan: MakePlan
) -> None:
    """A person's own profile or session token never goes along with the local keys."""
    plan = make_plan(environment={"AWS_PROFILE": "mine", "AWS_SESSION_TOKEN": "t", "LANG": "C"})
    folder = DataFolder(tmp_path)
    environment = child_environment(plan, compose(plan, folder).variables)
    folder.close()
    assert environment["LANG"] == "C"
    named = {name for name in environment if name.startswith("AWS_")}
    assert named == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}


def test_a_server_of_the_machine_is_preferred_to_the_wheels(tmp_path: Path) -> None:
    """A redis-server on the PATH is used."""
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    assert redis_binary(str(tmp_path)) == server


def test_missing_binaries_are_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the local extra, each missing part is one line."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: "/nowhere")
    with pytest.raises(UserError, match=r"no redis-server .*\[local\] extra.*DARKROOM_BROKER_URL"):
        redis_binary("")
    with pytest.raises(UserError, match=r"no rclone .*\[local\] extra.*DARKROOM_S3_BUCKET"):
        rclone_binary("")
    with pytest.raises(UserError, match=r"needs numpy.*DARKROOM_PLAYGROUND_API_KEY"):
        check_simulator_parts()
    with pytest.raises(UserError, match=r"needs fastapi.*darkroom-queue\[gateway\].*--no-gateway"):
        check_gateway_parts()
