"""The stack as a whole, over its real servers."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import psutil
import pytest
import redis
import requests
from mypy_boto3_s3 import S3Client

from darkroom.errors import UserError
from darkroom.stack import LocalStack, SimulatorOptions, Stop
from darkroom.stack.programs.binaries import rclone_binary, redis_binary
from tests.darkroom.stack.conftest import PROGRAMS, MakePlan, is_running, wait_until


def _s3(variables: Mapping[str, str]) -> S3Client:
    return boto3.client(
        "s3",
        endpoint_url=variables["DARKROOM_S3_ENDPOINT_URL"],
        region_name=variables["DARKROOM_S3_REGION"],
        aws_access_key_id=variables["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=variables["AWS_SECRET_ACCESS_KEY"],
    )


def test_data_and_addresses_outlive_a_restart(make_plan: MakePlan) -> None:
    """Queue, objects, keys and ports are the same when the stack comes up again."""
    with LocalStack(make_plan()) as stack:
        before = dict(stack.variables)
        with redis.Redis.from_url(before["DARKROOM_BROKER_URL"]) as client:
            client.set("kept", "yes")
        with closing(_s3(before)) as s3:
            s3.put_object(Bucket=before["DARKROOM_S3_BUCKET"], Key="a/b.png", Body=b"picture")
    with LocalStack(make_plan()) as stack:
        assert dict(stack.variables) == before
        with redis.Redis.from_url(before["DARKROOM_BROKER_URL"]) as client:
            assert client.get("kept") == b"yes"
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        with closing(_s3(before)) as s3:
            kept = s3.get_object(Bucket=before["DARKROOM_S3_BUCKET"], Key="a/b.png")
            assert kept["Body"].read() == b"picture"


def test_binaries_below_a_path_with_a_space_start(
    make_plan: MakePlan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An installation may lie anywhere: no command line breaks on a space."""
    scripts = tmp_path / "an environment" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "redis-server").symlink_to(redis_binary(""))
    (scripts / "rclone").symlink_to(rclone_binary(""))
    monkeypatch.setattr(sysconfig, "get_path", lambda _name: str(scripts))
    with LocalStack(make_plan(workers=0, environment={"PATH": str(scripts)})) as stack:
        assert {Path(psutil.Process(pid).cmdline()[0]).parent for pid in stack.pids().values()} == {
            scripts
        }


def test_strangers_without_the_keys_get_nothing(make_plan: MakePlan) -> None:
    """The local bucket is closed to other users of the machine."""
    with LocalStack(make_plan(workers=0)) as stack:
        url = f"{stack.variables['DARKROOM_S3_ENDPOINT_URL']}/darkroom"
        with requests.Session() as session:
            assert session.get(url, timeout=30).status_code >= 400


def test_workers_are_told_where_everything_is(make_plan: MakePlan, report: Path) -> None:
    """A worker's environment names every service of the stack; without a key it is simulated."""
    options = SimulatorOptions(latency_scale=0)
    with LocalStack(make_plan(playground_url=None, concurrency=7, simulator=options)) as stack:
        wait_until(report.exists)
        seen = json.loads(report.read_text())
        assert seen.items() >= stack.variables.items()
        assert seen["CWD"] == str(Path.cwd())
        assert seen["DARKROOM_CONCURRENCY"] == "7"
        assert seen["DARKROOM_SIMULATED"] == "1"
        data = stack.plan.data_dir
        assert seen["DARKROOM_DATABASE_URL"] == f"sqlite:///{data}/darkroom.db"
        assert seen["DARKROOM_SPOOL_DIR"] == str(data / "spool")
        assert [service.origin for service in stack.services] == ["started"] * 4
        with requests.Session() as session:
            url = seen["DARKROOM_PLAYGROUND_URL"]
            assert session.post(url, json={}, timeout=30).status_code == 401
            key = {"Authorization": f"Bearer {seen['DARKROOM_PLAYGROUND_API_KEY']}"}
            assert session.post(url, json={}, headers=key, timeout=30).status_code == 400


def test_every_killed_child_comes_back_at_its_address(make_plan: MakePlan) -> None:
    """Broker, bucket and worker killed with -9 are back, and say so, with the data still there."""
    lines: list[str] = []
    with LocalStack(make_plan(), echo=lines.append) as stack:
        with redis.Redis.from_url(stack.variables["DARKROOM_BROKER_URL"]) as client:
            client.set("kept", "yes")
            client.execute_command("WAITAOF", 1, 0, 5000)
            before = stack.pids()
            for pid in before.values():
                os.kill(pid, signal.SIGKILL)
            # By name: on a busy machine one may need more than one start.
            again = {f"{name} started again" for name in before}
            wait_until(lambda: again <= set(lines))
            wait_until(lambda: _answers(client))
            assert client.get("kept") == b"yes"
        after = stack.pids()
        assert set(after) == set(before) == {"broker", "s3", "worker-1"}
        assert not set(after.values()) & set(before.values())


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def test_a_second_stack_on_the_folder_is_refused(make_plan: MakePlan) -> None:
    """The first one is untouched by the attempt."""
    with LocalStack(make_plan(workers=0)) as first:
        with pytest.raises(UserError, match="in use by another Darkroom"):
            LocalStack(make_plan(workers=0)).__enter__()
        assert all(is_running(pid) for pid in first.pids().values())


def test_what_was_started_ends_when_a_later_step_fails(make_plan: MakePlan) -> None:
    """A failing migration leaves no process and frees the folder."""
    started: dict[str, int] = {}

    def fail(_variables: Mapping[str, str]) -> None:
        started.update(stack.pids())
        raise UserError("the database is too new")

    stack = LocalStack(make_plan(), prepare=fail)
    with pytest.raises(UserError, match="too new"):
        stack.__enter__()
    assert set(started) == {"broker", "s3"}
    assert not any(is_running(pid) for pid in started.values())
    with LocalStack(make_plan(workers=0)):
        pass


def test_stopping_waits_for_workers_while_services_run(make_plan: MakePlan, report: Path) -> None:
    """A draining worker still has its services; it ends in its own time."""
    plan = make_plan()
    environment = dict(plan.environment) | {"STAND_IN_DRAIN_S": "0.5"}
    with LocalStack(make_plan(environment=environment)):
        wait_until(report.exists)
    assert report.with_name("drained").exists()


def test_a_hurried_stop_does_not_wait(make_plan: MakePlan, report: Path) -> None:
    """Asked twice, a long drain is cut short."""
    environment = dict(make_plan().environment) | {"STAND_IN_DRAIN_S": "60"}
    stop = Stop()
    with LocalStack(make_plan(environment=environment), stop=stop) as stack:
        wait_until(report.exists)
        assert not stack.wait(0)
        stop.request()
        assert stack.wait()
        stop.request()
    assert not report.with_name("drained").exists()


def test_a_stop_during_the_start_ends_it(make_plan: MakePlan) -> None:
    """Ctrl-C before everything answers leaves nothing behind."""
    stop = Stop()
    stop.request()
    plan = make_plan()
    with pytest.raises(KeyboardInterrupt):
        LocalStack(plan, stop=stop, prepare=lambda _: None).__enter__()


@contextmanager
def _held_by_another_process(
    make_plan: MakePlan,
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    plan = make_plan()
    holder = subprocess.Popen(
        [sys.executable, PROGRAMS / "holder.py", plan.data_dir, PROGRAMS / "worker.py"],
        stdout=subprocess.PIPE,
        env=plan.environment,
        text=True,
    )
    with holder:
        assert holder.stdout is not None
        pids = list(json.loads(holder.stdout.readline()).values())
        try:
            yield holder, pids
        finally:
            holder.kill()


def test_nothing_outlives_a_killed_parent(make_plan: MakePlan) -> None:
    """Kill -9 on the stack's own process takes every child along, and the folder is free again."""
    with _held_by_another_process(make_plan) as (holder, pids):
        assert len(pids) == 3
        assert all(map(is_running, pids))
        holder.kill()
        holder.wait()
        wait_until(lambda: not any(map(is_running, pids)))
    with LocalStack(make_plan(workers=0)):
        pass


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_everything(
    make_plan: MakePlan, report: Path, number: signal.Signals
) -> None:
    """Ctrl-C, SIGTERM and a closed terminal all drain the worker and end with status 0."""
    with _held_by_another_process(make_plan) as (holder, pids):
        wait_until(report.exists)
        holder.send_signal(number)
        assert holder.wait(60) == 0
        assert not any(map(is_running, pids))
    assert report.with_name("drained").exists()
