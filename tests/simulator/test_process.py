"""The process: what it prints, how it stops, how much may wait in it."""

import asyncio
import re
import resource
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.servers.certificate import make_certificate
from tests.services.forked_simulator import fork_simulator
from tests.simulator.running import RunningSimulator, StartSimulator, picture_of, png_of

WAITING = 2000


def test_it_prints_one_line_when_it_is_ready(start: StartSimulator) -> None:
    """The line names the address, and the address answers at once."""
    server = start("--latency-scale", "0", from_nothing=True)
    shape = r"simulator listening on http://127\.0\.0\.1:\d+/api/models/external/v1\n"
    assert re.fullmatch(shape, server.line)
    assert server.control("GET", "/healthz")["status"] == "ok"
    assert server.stop() == (0, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_with_calls_waiting(start: StartSimulator, number: signal.Signals) -> None:
    """SIGTERM and SIGINT end it with status 0, whatever waits."""
    server = start("--latency-range", "60")
    body = b'{"prompt":"a fox"}'
    head = b"POST /api/models/external/v1 HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(head % len(body) + body)
        while not server.control("GET", "/healthz")["in_flight"]:
            pass
        assert server.stop(number) == (0, "")
        assert line.recv(1) == b""


def test_a_canned_simulator_serves_one_heavy_picture(start: StartSimulator) -> None:
    """Whatever is asked, the same 1024x1024 PNG of 1.5 MB comes; rules and ledger still hold."""
    server = start("--canned", "--latency-scale", "0")
    first, second = server.call(), server.call(prompt="other", seed=9)
    assert first.content == second.content
    assert picture_of(first).size == (1024, 1024)
    assert abs(len(png_of(first)) - 1_500_000) <= 15_000
    assert server.call(seed=0).status_code == 400
    assert server.control("GET", "/ledger")["distinct"] == 2


def test_it_speaks_tls_with_a_certificate(start: StartSimulator, tmp_path: Path) -> None:
    """Given a certificate, it is called as the real API is, and says so in its line."""
    certificate, key = make_certificate(tmp_path)
    server = start("--latency-scale", "0", "--tls-cert", str(certificate), "--tls-key", str(key))
    assert "https://127.0.0.1:" in server.line
    server.session.verify = str(certificate)
    assert picture_of(server.call()).size == (64, 64)
    assert server.stop() == (0, "")


def test_faults_and_ledger_come_from_files(start: StartSimulator, tmp_path: Path) -> None:
    """A simulator starts with its faults, and its ledger outlives it."""
    faults, ledger = tmp_path / "faults.json", tmp_path / "ledger.jsonl"
    faults.write_text('[{"kind": "empty_images", "count": 1}]')
    flags = ("--latency-scale", "0", "--faults", str(faults), "--ledger", str(ledger))
    first = start(*flags)
    assert first.call().json() == {"images": []}
    first.stop(signal.SIGKILL)
    assert start(*flags).control("GET", "/ledger")["total"] == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("--latency-scale", "-1"),
        ("--latency-range", "fast"),
        ("--latency-range", "3-1"),
        ("--faults", "no-such-file.json"),
        ("--port", "many"),
    ],
)
def test_flags_that_make_no_sense_end_it_with_status_2(
    flags: tuple[str, ...], tmp_path: Path
) -> None:
    """One line on stderr, no traceback, nothing listening."""
    status, printed, said = _ended(tmp_path, *flags)
    assert (status, printed) == (2, "")
    assert "Traceback" not in said
    assert "simulator: " in said


def test_a_taken_port_is_told_in_a_line(server: RunningSimulator, tmp_path: Path) -> None:
    """Status 1, with the address that could not be had."""
    status, _, said = _ended(tmp_path, "--port", str(server.port))
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in said
    assert "Traceback" not in said


def _ended(folder: Path, *flags: str) -> tuple[int | None, str, str]:
    """Exit status, output and what was said beside it, of one that does not get to listen."""
    out, err = folder / "out", folder / "err"
    status = fork_simulator(flags, folder=folder, out=out, err=err).wait(20)
    return status, out.read_text("utf-8"), err.read_text("utf-8")


@pytest.fixture
def _many_files() -> Iterator[None]:
    """Lets this process hold as many sockets as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _one_call(port: int, number: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"prompt":"w","seed":%d,"width":32,"height":32}' % (number + 1)
    head = b"POST /api/models/external/v1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    status = await reader.readline()
    await reader.read()
    writer.close()
    await writer.wait_closed()
    return status


async def _all_calls(port: int) -> list[bytes]:
    return await asyncio.gather(*(_one_call(port, number) for number in range(WAITING)))


@pytest.mark.usefixtures("_many_files")
def test_two_thousand_calls_wait_at_once(start: StartSimulator) -> None:
    """All are held together, all are answered, each is charged once."""
    server = start("--canned", "--latency-range", "3")
    server.control("PUT", "/faults", [{"kind": "empty_images"}])
    statuses = asyncio.run(_all_calls(server.port))
    assert {status.split()[1] for status in statuses} == {b"200"}
    health = server.control("GET", "/healthz")
    assert (health["most_in_flight"], health["charged"]) == (WAITING, WAITING)
    assert server.control("GET", "/ledger?over=1")["total"] == 0
