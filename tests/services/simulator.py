"""The stand-in for the paid API, as its own process, with its ledger of charged calls."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.services.forked_simulator import fork_simulator
from tests.services.server import Running, Server

_API_KEY = "test-api-key"
_API_PATH = "/api/models/external/v1"
_TIMEOUT_S = 60


class Simulator(Server):
    """A running simulator.

    `url` is what the client is given, `api_key` the only key accepted; latency is 0.
    """

    api_key = _API_KEY
    ca_bundle: Path | None = None
    """Whom to trust where it speaks TLS; plain HTTP without."""

    def _begin(self) -> Running:
        return fork_simulator(self._command(self.port), folder=self._folder, out=self.log)

    @property
    def root(self) -> str:
        """The address above which ledger and faults are found."""
        return f"{'https' if self.ca_bundle else 'http'}://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """The API's URL, as the Playground client wants it."""
        return self.root + _API_PATH

    def ledger(self) -> Any:
        """What was charged so far."""
        return self._ask("GET", "/ledger").json()

    def charged(self, words: str) -> int:
        """How many calls were charged whose prompt has these words."""
        return self.charges(words).total()

    def charges(self, words: str) -> Counter[str]:
        """Charged calls by prompt, for prompts that have these words."""
        calls = self._ask("GET", "/ledger", params={"contains": words}).json()["calls"]
        charges: Counter[str] = Counter()
        for call in calls:
            charges[str(call["prompt"])] += int(call["count"])
        return charges

    def asked(self) -> int:
        """Requests that came, charged or not."""
        return int(self._ask("GET", "/healthz").json()["requests"])

    def clear_ledger(self) -> None:
        """Forget what was charged."""
        self._ask("DELETE", "/ledger")

    def put_faults(self, faults: Any) -> None:
        """Have it misbehave; the shape is the simulator's own."""
        self._ask("PUT", "/faults", json=faults)

    def clear_faults(self) -> None:
        """Have it behave again."""
        self._ask("DELETE", "/faults")

    def put_latency(self, seconds: float) -> None:
        """Have every call take this long."""
        self._ask("PUT", "/latency", json={"range_s": [seconds, seconds]})

    def put_latency_range(self, low_s: float, high_s: float) -> None:
        """Have calls take between so many seconds and so many."""
        self._ask("PUT", "/latency", json={"range_s": [low_s, high_s]})

    def clear_latency(self) -> None:
        """Answer at once again."""
        self._ask("PUT", "/latency", json={"scale": 0})

    def _ask(
        self, method: str, path: str, json: Any = None, params: dict[str, str] | None = None
    ) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(self.ca_bundle) if self.ca_bundle else True
            answer = session.request(
                method, self.root + path, json=json, params=params, timeout=_TIMEOUT_S
            )
            answer.raise_for_status()
            return answer


def _answers(port: int, ca_bundle: Path | None) -> bool:
    scheme = "https" if ca_bundle else "http"
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(ca_bundle) if ca_bundle else True
            return session.get(f"{scheme}://{Server.host}:{port}/ledger", timeout=2).ok
    except requests.RequestException:
        return False


def simulator_in(folder: Path, *options: str, ca_bundle: Path | None = None) -> Simulator:
    """A simulator that is still to be started, logging into this folder.

    Args:
        folder: for its log.
        options: more words of its command line; a certificate for TLS among them.
        ca_bundle: whom to trust then.
    """
    start = ["--api-key", _API_KEY, "--latency-scale", "0"]
    simulator = Simulator(
        "simulator",
        lambda port: [*start, "--port", str(port), *options],
        lambda port: _answers(port, ca_bundle),
        folder=folder,
    )
    simulator.ca_bundle = ca_bundle
    return simulator


@pytest.fixture(scope="session")
def _simulator_of_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    server = simulator_in(tmp_path_factory.mktemp("simulator"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def simulator(_simulator_of_session: Simulator) -> Simulator:
    """A simulator that answers at once, with an empty ledger and no faults."""
    _simulator_of_session.clear_faults()
    _simulator_of_session.clear_latency()
    _simulator_of_session.clear_ledger()
    return _simulator_of_session


@pytest.fixture
def simulator_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    """A simulator of the test's own, to be killed and started again."""
    server = simulator_in(tmp_path_factory.mktemp("simulator-own"))
    server.start()
    yield server
    server.stop()
