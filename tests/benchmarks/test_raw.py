"""The raw loop makes images over plain HTTP and over TLS, and reports what one costs."""

import json
from pathlib import Path

import pytest

from benchmarks.contenders.raw import WARM_UP, main
from benchmarks.servers.certificate import make_certificate
from benchmarks.servers.sink_process import sink_in
from tests.services.s3 import new_bucket
from tests.services.simulator import simulator_in

IMAGES = 2


@pytest.mark.parametrize("is_tls", [False, True])
def test_every_image_reaches_the_bucket(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], *, is_tls: bool
) -> None:
    """Each is read, checked and put; the ones before the clock starts are put too."""
    options, bundle = _tls(tmp_path) if is_tls else ([], None)
    sink = sink_in(tmp_path, *options, ca_bundle=bundle)
    simulator = simulator_in(tmp_path, "--canned", *options, ca_bundle=bundle)
    sink.start()
    simulator.start()
    try:
        bucket = new_bucket(sink).bucket
        words = {
            "--api-port": simulator.port,
            "--path": simulator.url.removeprefix(simulator.root),
            "--key": simulator.api_key,
            "--s3-port": sink.port,
            "--bucket": bucket,
            "--images": IMAGES,
            **({"--ca-bundle": bundle} if bundle else {}),
        }
        main([str(word) for pair in words.items() for word in pair] + ["--checks"])
        # The keys of the first images are used again.
        assert sink.puts(bucket) == WARM_UP + IMAGES
    finally:
        simulator.stop()
        sink.stop()
    assert json.loads(capsys.readouterr().out)["cpu_ms"] > 0


def _tls(folder: Path) -> tuple[list[str], Path]:
    certificate, key = make_certificate(folder)
    return ["--tls-cert", str(certificate), "--tls-key", str(key)], certificate
