"""Errors: the documented tree is the actual tree; each foreign one becomes one of Darkroom's."""

import inspect
import pickle
import re

import pytest
import requests

import darkroom_client
from darkroom_client import errors
from darkroom_client.connection import Ask, _translated
from darkroom_client.problems import problem, retry_after_s
from tests.cases.retry_after import RETRY_AFTER_CASES

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
TREE = [kind for kind in KINDS if issubclass(kind, errors.DarkroomError)]
EXAMPLES = [
    errors.InvalidRequest(422, faults=(errors.Fault("width", "7", "a multiple of 32", 3),)),
    errors.Conflict(409, detail="taken", facts={"holder": "x"}),
    errors.NoAnswer("POST /v1/jobs", retry_after_s=2.0, idempotency_key="k"),
    errors.JobFailed("id", "PROMPT_UNSAFE", "not drawn", "request"),
    errors.JobCancelled("id", "EXPIRED"),
    errors.WaitTimeout("not ended"),
    errors.WebhookStale("old"),
]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    """Each class, below its parent."""
    drawn = re.findall(r"^ {4}([│ ├└─]*)([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE)
    path: dict[int, str] = {}
    for branch, name in drawn:
        depth = len(branch) // 4
        path[depth] = name
        if depth:
            assert issubclass(getattr(errors, name), getattr(errors, path[depth - 1]))
    assert sorted(name for _, name in drawn) == sorted(kind.__name__ for kind in TREE)


def test_all_of_them_can_be_imported_from_the_package() -> None:
    """Users catch them by name."""
    assert {kind.__name__ for kind in KINDS if kind.__module__ == errors.__name__} <= set(
        darkroom_client.__all__
    )


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_an_error_survives_pickling_with_its_facts(error: errors.DarkroomError) -> None:
    """Task queues and process pools pickle exceptions that the task did not catch."""
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def _below(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(each for child in kind.__subclasses__() for each in _below(child))]


@pytest.mark.parametrize("kind", _below(requests.RequestException))
def test_every_exception_of_requests_becomes_ours_without_its_words(kind: type[Exception]) -> None:
    """Their words hold addresses, and those hold signatures."""
    error = kind.__new__(kind)
    error.args = ("http://bucket/x?X-Amz-Signature=abc",)
    with pytest.raises(errors.NoAnswer) as caught, _translated(Ask("GET", "/v1/jobs/x")):
        raise error
    assert "Signature" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidRequest),
        (401, errors.Unauthorized),
        (403, errors.Forbidden),
        (404, errors.NotFound),
        (405, errors.GatewayFault),
        (408, errors.Unavailable),
        (409, errors.Conflict),
        (410, errors.NotFound),
        (413, errors.InvalidRequest),
        (415, errors.InvalidRequest),
        (422, errors.InvalidRequest),
        (429, errors.TooManyRequests),
        (500, errors.GatewayFault),
        (502, errors.Unavailable),
        (503, errors.Unavailable),
        (504, errors.Unavailable),
        (301, errors.NotTheGateway),
    ],
)
@pytest.mark.parametrize(
    "body",
    [None, [], "text", {}, {"faults": 3}, {"faults": [3, {}]}, {"title": 7, "detail": None}],
)
def test_each_status_is_an_error_whatever_its_body(
    status: int, kind: type[errors.DarkroomError], body: object
) -> None:
    """Nothing in a body is believed to be there."""
    assert type(problem(status, {}, body)) is kind


def test_a_problem_documents_words_are_kept() -> None:
    """Type, title, detail, faults and whatever else it says."""
    told = {
        "type": "urn:darkroom:problem:invalid-request",
        "title": "The request breaks rules",
        "status": 422,
        "detail": "two of them",
        "faults": [{"field": "width", "value": "7", "rule": "a multiple of 32", "line": 9}],
        "count": 2,
    }
    error = problem(422, {}, told)
    assert isinstance(error, errors.InvalidRequest)
    assert error.faults == (errors.Fault("width", "7", "a multiple of 32", 9),)
    assert (error.type, error.title, error.detail) == (told["type"], told["title"], "two of them")
    assert error.facts == {"count": 2}
    assert str(error) == "HTTP 422: line 9: width = 7: a multiple of 32"


@pytest.mark.parametrize(("value", "date", "seconds"), RETRY_AFTER_CASES)
def test_retry_after_is_seconds_or_a_date_or_nothing(
    value: str, date: str, seconds: float | None
) -> None:
    """A date is compared with the response's own clock, as the client's clock may be wrong."""
    assert retry_after_s({"RETRY-AFTER": value, "date": date}) == seconds


def test_an_address_without_a_scheme_is_refused_at_once() -> None:
    """And not at the first job."""
    with pytest.raises(ValueError, match="http"):
        darkroom_client.Client("darkroom.example.com")
