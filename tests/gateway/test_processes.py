"""Several gateway processes on one port: real ones, killed and stopped by signals."""

import errno
import http.client
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest

from gateway.auth.rates import Rates
from gateway.processes import GatewayProcesses
from gateway.services import GatewayLimits
from tests.darkroom.cli.conftest import CommandLine, Started, plain_environment
from tests.gateway.running import WITHIN_S
from tests.services import S3Endpoint

BODY = orjson.dumps({"request": {"prompt": "a paper fox"}})
PROCESSES = 3

#: For a process that starts on a busy machine.
START_WITHIN_S = 120


@pytest.fixture
def environment(redis_url: str, s3: S3Endpoint) -> dict[str, str]:
    """An installation of several processes, without keys and without a database."""
    return plain_environment() | {
        "DARKROOM_GATEWAY_PROCESSES": str(PROCESSES),
        "DARKROOM_GATEWAY_PORT": "0",
        "DARKROOM_BROKER_URL": redis_url,
        "DARKROOM_S3_BUCKET": s3.bucket,
        "DARKROOM_S3_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.access_key_id,
        "AWS_SECRET_ACCESS_KEY": s3.secret_access_key,
    }


@pytest.fixture
def darkroom(tmp_path: Path, environment: dict[str, str]) -> CommandLine:
    """The command line."""
    return CommandLine(tmp_path, environment)


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway of several processes."""

    started: Started
    port: int

    @property
    def parent(self) -> psutil.Process:
        """The process that was started."""
        return psutil.Process(self.started.process.pid)

    def children(self) -> list[int]:
        """The ids of the processes that serve, or are about to."""
        return [each.pid for each in self.parent.children()]


@pytest.fixture
def gateway(darkroom: CommandLine, migrated_postgres_url: str) -> Iterator[Running]:
    """Three processes that serve."""
    with running(darkroom.start("gateway", database_url=migrated_postgres_url)) as it:
        yield it


@contextmanager
def running(started: Started) -> Iterator[Running]:
    """Wait until all processes serve; at the end, have all of them killed."""
    found = None
    try:
        found = until(lambda: re.search(r"listening on http://\S+:(\d+)\n", started.said))
        yield Running(started, int(found[1]))
    finally:
        with suppress(psutil.NoSuchProcess):
            parent = psutil.Process(started.process.pid)
            for each in [*parent.children(), parent]:
                each.kill()
        started.process.kill()


def until(question: Callable[[], Any]) -> Any:
    """Wait until something is true, as long as processes may take to start; return it."""
    deadline_s = time.monotonic() + START_WITHIN_S
    while not (answer := question()):
        assert time.monotonic() < deadline_s, "it never came true"
        time.sleep(0.02)
    return answer


class KeptAlive:
    """A connection that is kept open between requests."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=WITHIN_S)
        self._connection.connect()
        self.port = self._connection.sock.getsockname()[1]

    def answers(self) -> bool:
        """Send a request on it; return whether an answer came."""
        try:
            self._connection.request("GET", "/healthz")
            answer = self._connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            return False
        return answer.status == 200

    def close(self) -> None:
        """Close it."""
        self._connection.close()


def is_gone(gateway: Running, pid: int) -> bool:
    """Whether a process has ended, and its parent knows."""
    return pid not in gateway.children()


def served_by(pid: int) -> set[int]:
    """The clients' ports of the connections that a process serves."""
    connections: Any = psutil.Process(pid).net_connections()
    return {each.raddr.port for each in connections if each.raddr}


class BegunPost:
    """A request whose head the gateway has read; it waits for the body."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S)
        self._answer = self._socket.makefile("rb")
        head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nExpect: 100-continue\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(BODY)}\r\n\r\n"
        self._socket.sendall(head.encode())
        assert b" 100 " in self._answer.readline()
        assert self._answer.readline() == b"\r\n"

    def end(self) -> int:
        """Send the body; return the answer's status."""
        self._socket.sendall(BODY)
        status = int(self._answer.readline().split()[1])
        self._answer.close()
        self._socket.close()
        return status


class Load(threading.Thread):
    """New connections one after the other, each with one request, until the test ends."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.answered = 0
        self.refused = 0
        self.is_over = False
        self._port = port

    def run(self) -> None:
        """Send requests."""
        while not self.is_over:
            try:
                one = KeptAlive(self._port)
            except ConnectionRefusedError:
                self.refused += 1
                continue
            self.answered += one.answers()
            one.close()


def test_processes_that_are_killed_take_only_their_own_connections_with_them(
    gateway: Running,
) -> None:
    """Under load, each one is killed in turn: no connection is refused, and it is replaced."""
    load = Load(gateway.port)
    load.start()
    for pid in gateway.children():
        with ExitStack() as stack:
            kept = [KeptAlive(gateway.port) for _ in range(8)]
            for each in kept:
                stack.callback(each.close)
            assert all(each.answers() for each in kept)
            its_own = served_by(pid)
            os.kill(pid, signal.SIGKILL)
            until(partial(is_gone, gateway, pid))
            assert [each.answers() for each in kept] == [each.port not in its_own for each in kept]
        until(lambda: len(gateway.children()) == PROCESSES)
    answered = load.answered
    until(lambda: load.answered > answered)
    load.is_over = True
    load.join(WITHIN_S)
    assert load.refused == 0


def test_every_process_gets_connections(gateway: Running) -> None:
    """None takes all of them, even if clients connect one after the other and keep them open."""
    with ExitStack() as stack:

        def all_serve() -> bool:
            one = KeptAlive(gateway.port)
            stack.callback(one.close)
            return one.answers() and all(served_by(pid) for pid in gateway.children())

        until(all_serve)


def test_a_stop_lets_every_begun_request_end(gateway: Running) -> None:
    """After SIGTERM to the parent, bodies that arrive late are still accepted; then all end."""
    begun = [BegunPost(gateway.port) for _ in range(8)]
    children = gateway.children()
    gateway.started.process.signal(signal.SIGTERM)
    until(lambda: is_refused(gateway.port))
    assert {each.end() for each in begun} == {202}
    assert gateway.started.process.wait(START_WITHIN_S) == 0
    assert not any(psutil.pid_exists(pid) for pid in children)


def test_processes_end_after_their_parent_was_killed(gateway: Running) -> None:
    """Kill -9 leaves none behind, and the requests that had begun get their answers."""
    begun = BegunPost(gateway.port)
    children = gateway.children()
    gateway.started.process.kill()
    until(lambda: is_refused(gateway.port))
    assert begun.end() == 202
    until(lambda: not any(psutil.pid_exists(pid) for pid in children))


def is_refused(port: int) -> bool:
    """Whether connections to a port are refused."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WITHIN_S).close()
    except ConnectionRefusedError:
        return True
    return False


def test_sqlite_refuses_several_processes(darkroom: CommandLine, migrated_sqlite_url: str) -> None:
    """One line names the setting, and the command ends."""
    ran = darkroom("gateway", database_url=migrated_sqlite_url)
    assert ran.status == 1
    assert len(ran.lines) == 1
    assert f"DARKROOM_GATEWAY_PROCESSES={PROCESSES}" in ran.err


def test_a_process_that_cannot_start_ends_the_gateway_with_its_one_line(
    darkroom: CommandLine, migrated_postgres_url: str
) -> None:
    """It is not tried again and again, and however many there are, it is said once."""
    ran = darkroom("gateway", database_url=migrated_postgres_url, hooks_file="missing.toml")
    assert ran.status == 1
    assert [line for line in ran.lines if "DARKROOM_HOOKS_FILE" in line] == ran.lines[-1:]
    assert "listening" not in ran.err


def test_a_port_of_the_command_line_counts_for_every_process(
    darkroom: CommandLine, migrated_postgres_url: str
) -> None:
    """Kubernetes sets DARKROOM_GATEWAY_PORT to a URL if a service is named darkroom-gateway."""
    url = "tcp://10.0.0.1:80"
    started = darkroom.start(
        "gateway", "--port", "0", database_url=migrated_postgres_url, gateway_port=url
    )
    with running(started) as gateway:
        assert len(gateway.children()) == PROCESSES


@pytest.mark.enable_socket
def test_a_process_may_be_killed_by_a_signal_without_a_name() -> None:
    """Of the real-time signals Python names two."""
    command = ["sh", "-c", f"kill -{signal.SIGRTMIN + 1} $$"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        status = GatewayProcesses(command, count=1, listener=listener).run(lambda: None)
    assert status == -(signal.SIGRTMIN + 1)


@pytest.mark.enable_socket
def test_a_process_that_gets_no_pipe_could_not_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As when the machine has no more descriptors; later it is tried again."""
    pipes = [os.pipe()]

    def pipe() -> tuple[int, int]:
        if pipes:
            return pipes.pop()
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    monkeypatch.setattr(os, "pipe", pipe)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert GatewayProcesses(["true"], count=1, listener=listener).run(lambda: None) == 1
    assert os.strerror(errno.ENFILE) in caplog.text


@pytest.mark.enable_socket
def test_a_second_process_that_cannot_start_ends_the_first_and_no_third_is_tried(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The command is gone after its first start."""
    command = tmp_path / "gateway"
    command.write_text(
        f"#!{sys.executable}\n"
        "import os, sys, time\n"
        "os.unlink(__file__)\n"
        "os.write(int(sys.argv[1].split(',')[1]), b'1')\n"
        f"time.sleep({START_WITHIN_S})\n"
    )
    command.chmod(0o700)
    before = set(psutil.Process().children())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        status = GatewayProcesses([str(command)], count=3, listener=listener).run(lambda: None)
    assert status == 1
    assert caplog.text.count(os.strerror(errno.ENOENT)) == 1
    assert set(psutil.Process().children()) <= before


@pytest.mark.parametrize(
    ("processes", "loads", "watchers"), [(1, 3, 2000), (2, 2, 1000), (3, 2, 667), (64, 2, 32)]
)
def test_limits_are_divided_and_another_owners_batch_keeps_its_slot(
    processes: int, loads: int, watchers: int
) -> None:
    """Waits are divided and rounded up; of loads each process has two at least."""
    limits = GatewayLimits(loads=3, max_watchers=2000).divided_by(processes)
    assert (limits.loads, limits.max_watchers) == (loads, watchers)


def test_processes_divide_an_owners_rate_when_there_is_no_redis() -> None:
    """Together they let through what one process would."""
    processes = [Rates(None, namespace="darkroom", processes=4) for _ in range(4)]
    passed = [each.refused_for_s("shop", 0.004) is None for _ in range(3) for each in processes]
    assert sum(passed) == 4
