"""Start, query and stop the sink as a process."""

import json
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from benchmarks.servers.sink import CONNECTIONS_PATH, PUTS_PATH
from tests.services.s3 import S3Server

__all__ = ["Sink", "sink_in"]

REPO = Path(__file__).parents[2]
OK = 200


class Sink(S3Server):
    """A running sink."""

    def puts(self, bucket: str) -> int:
        """Return how many objects a bucket was given."""
        _, body = _get(self.port, PUTS_PATH, self.ca_bundle)
        found: dict[str, int] = json.loads(body)
        return found.get(bucket, 0)

    def connections(self) -> int:
        """Return how many connections it has accepted, this question's included."""
        _, body = _get(self.port, CONNECTIONS_PATH, self.ca_bundle)
        return int(json.loads(body))


def sink_in(folder: Path, *options: str, ca_bundle: Path | None = None) -> Sink:
    """Return a sink that is not started yet and logs into this folder.

    Args:
        folder: for its log.
        options: further command-line arguments, including a certificate for TLS.
        ca_bundle: the certificates to trust then.
    """
    start = [sys.executable, "-m", "benchmarks.servers.sink"]
    sink = Sink(
        "sink",
        lambda port: [*start, "--port", str(port), *options],
        lambda port: _answers(port, ca_bundle),
        folder=folder,
        env={"PYTHONPATH": str(REPO)},
    )
    sink.ca_bundle = ca_bundle
    return sink


def _answers(port: int, ca_bundle: Path | None) -> bool:
    try:
        return _get(port, "/", ca_bundle)[0] == OK
    except HTTPException:
        return False


def _get(port: int, path: str, ca_bundle: Path | None) -> tuple[int, bytes]:
    connection: HTTPConnection
    if ca_bundle is None:
        connection = HTTPConnection(Sink.host, port, timeout=30)
    else:
        context = ssl.create_default_context(cafile=ca_bundle)
        connection = HTTPSConnection(Sink.host, port, timeout=30, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
