"""Faults of the spool's disk: if a picture could not be stored, no call may start."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from chaos.fleet.fleet import Fleet
from chaos.stage import Stage

__all__ = ["disk_full", "spool_deleted"]

DISK_BYTES = 64_000_000


def disk_full(stage: Stage) -> None:
    """Fill the disk that holds the spools, and free it a while later."""
    with _small_disk(stage) as disk:
        fleet = stage.make_fleet(spool_dir=disk, spool_max_bytes=DISK_BYTES // 2, concurrency=8)
        stage.load()
        fleet.start(2)
        stage.wait_for_load()
        stage.fault_begins()
        with _filled(disk):
            stage.outage(20)
            stage.load_until(lambda: _is_at_rest(fleet), "the end of the calls under way")
            at_rest = stage.ground.simulator.charged(fleet.mark)
            stage.outage(40)
            later = stage.ground.simulator.charged(fleet.mark)
        stage.fault_ends()
        stage.recovered()
        found = stage.finish()
        stage.must(
            "no call starts while the disk is full", kept=later == at_rest, found=later - at_rest
        )
        stage.must(
            "the log says so",
            kept=fleet.said("the spool's disk is full"),
            found="nothing in the logs",
        )
        stage.all_succeed(found)
        stage.one_call_each(found)


def spool_deleted(stage: Stage) -> None:
    """Delete the spool folder while images wait there for an unavailable bucket."""
    fleet = stage.make_fleet()
    stage.load()
    workers = fleet.start(2)
    stage.wait_for_load()
    stage.ground.s3.kill()
    stage.load_until(
        lambda: all(len(fleet.held_by(worker, "storing")) >= 2 for worker in workers),
        "images on their way",
    )
    stage.sleep(10)  # until the first puts have failed: from then on only the files hold the images
    stage.fault_begins()
    shutil.rmtree(fleet.folder / "spool", ignore_errors=True)  # while workers write there
    stage.sleep_under_load(10)
    stage.ground.s3.start()
    stage.fault_ends()
    stage.recovered()
    stage.wait_until(
        lambda: len(list(fleet.folder.glob("spool/*/lock"))) >= len(workers),
        "a new folder of each worker",
    )
    found = stage.finish()
    stage.all_succeed(found)
    lost = sum(job.calls_lost for job in found.jobs)
    stage.note(f"{lost} images lost")
    stage.must("images were lost", kept=lost > 0)
    stage.must("no call is of unknown outcome", kept=not found.unknown, found=found.unknown)
    # Less if a put had succeeded unconfirmed: its image counts as lost, and is found before a call.
    stage.must(
        "charged calls are pictures kept or counted as lost",
        kept=found.charged <= len(found.jobs) + lost,
        found=f"{found.charged} charged, {lost} lost",
    )


def _is_at_rest(fleet: Fleet) -> bool:
    return fleet.said("the spool's disk is full") and not fleet.counts()["running"]


@contextmanager
def _small_disk(stage: Stage) -> Iterator[Path]:
    """Return a small separate file system in memory."""
    disk = stage.folder / "spool"
    disk.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        stage.skip("mounting a small disk needs root")
    command: list[str | Path] = [
        mount,
        "-t",
        "tmpfs",
        "-o",
        f"size={DISK_BYTES}",
        "darkroom-chaos",
        disk,
    ]
    mounted = subprocess.run(command, check=False, capture_output=True, text=True)
    if mounted.returncode:
        stage.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run([umount, "--lazy", disk], check=False)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Fill the free space, including what others release meanwhile, until the end."""
    is_over = threading.Event()
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        filler = threading.Thread(target=_fill, args=(file, is_over))
        filler.start()
        try:
            yield
        finally:
            is_over.set()
            filler.join()
            ballast.unlink()


def _fill(file: FileIO, is_over: threading.Event) -> None:
    while not is_over.is_set():
        try:
            file.write(bytes(4096))
        except OSError:
            is_over.wait(0.005)
