"""Which release a request needs."""

import pytest

from playground.request import releases
from playground.request.releases import needed_release
from playground.request.request import ImageRequest
from playground.request.wire import kept_form

REQUEST = {"prompt": "a fox", "scheduler": "EULER", "strength": "0.5"}


@pytest.fixture
def learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three releases, each of which has learnt something."""
    monkeypatch.setattr(releases, "PARAMETERS", {"strength": 3, "width": 9})
    monkeypatch.setattr(releases, "VALUES", {("scheduler", "EULER"): 4, ("scheduler", "DDIM"): 9})


@pytest.mark.usefixtures("learnt")
@pytest.mark.parametrize(
    ("left_out", "oldest", "needed"),
    [
        ((), 1, 4),
        (("scheduler",), 1, 3),
        (("scheduler", "strength"), 1, None),
        ((), 3, 4),
        ((), 4, None),
        (("scheduler",), 3, None),
    ],
)
def test_a_request_needs_the_newest_release_of_what_it_uses(
    left_out: tuple[str, ...], oldest: int, needed: int | None
) -> None:
    """Parameters and values alike; none where the oldest supported release knows them all."""
    request = {name: value for name, value in REQUEST.items() if name not in left_out}
    assert needed_release(request, oldest=oldest) == needed


def test_today_every_supported_release_knows_every_parameter() -> None:
    """So no row says that it needs a release."""
    assert needed_release(kept_form(ImageRequest(prompt="a fox")), oldest=1) is None
    assert not releases.PARAMETERS
    assert not releases.VALUES
