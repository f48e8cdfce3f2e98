"""The OpenAPI document, and strangers' requests made from it."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from jsonschema import Draft202012Validator

from tests.gateway.running import Gateway

#: Eight, as making requests that a schema allows, or just not, is most of the work; `deep`: 83.
CASES_PER_ROUTE = settings().max_examples // 12


def document_of(gateway: Gateway) -> Any:
    """The document, as a client's generator reads it."""
    return gateway.get("/openapi.json").json()


def operations(document: Any) -> list[tuple[str, str, Any]]:
    """Every path, method and description."""
    return [
        (path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_says_what_it_is_for_and_how_it_refuses(one_gateway: Gateway) -> None:
    """A summary, answers, and problem documents for what goes wrong."""
    for path, method, operation in operations(document_of(one_gateway)):
        assert operation["summary"], f"{method} {path}"
        refusals = {code for code in operation["responses"] if code[0] in "45"}
        if path.startswith("/v1/"):
            assert refusals, f"{method} {path}"
        for code in refusals:
            content = operation["responses"][code]["content"]
            assert list(content) == ["application/problem+json"], f"{method} {path} {code}"


def test_every_example_fits_the_schema_beside_it(one_gateway: Gateway) -> None:
    """What people copy works."""
    document = document_of(one_gateway)
    found = 0
    for path, method, operation in operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            if kind != "application/json" or "example" not in content:
                continue
            schema = {**content["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(content["example"])
            found += 1
            assert method == "post", path
    assert found >= 3
    example = document["components"]["schemas"]["JobView"]["example"]
    schema = {"$ref": "#/components/schemas/JobView", "components": document["components"]}
    Draft202012Validator(schema).validate(json.loads(json.dumps(example)))


@pytest.mark.filterwarnings("ignore")  # schemathesis and hypothesis warn of their own matters
@pytest.mark.parametrize("kind", ["positive", "negative"])
def test_no_request_made_from_the_document_meets_a_bug(one_gateway: Gateway, kind: str) -> None:
    """Whole ones and broken ones, over the real server: no 5xx, and no answer it does not tell."""
    import schemathesis  # noqa: PLC0415 - a third of a second in every tester, for this test alone
    from schemathesis import GenerationMode  # noqa: PLC0415 - as above

    mode = GenerationMode(kind)
    made = one_gateway.submit()
    one_gateway.succeed(made)
    tried = set()
    for result in schemathesis.openapi.from_dict(document_of(one_gateway)).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # a faulty document fails here
        if not operation.path.startswith("/v1/") or operation.path.endswith("/events"):
            continue  # nothing to get wrong, or a stream without an end that is worth waiting for
        tried.add(operation.path)
        _try(operation.as_strategy(mode), one_gateway.url)
        if mode is GenerationMode.POSITIVE and "{job_id}" in operation.path:
            known = {"job_id": str(made), "n": 0}
            names = {name: known[name] for name in known if f"{{{name}}}" in operation.path}
            _try(operation.as_strategy(mode, path_parameters=names), one_gateway.url)
    assert {"/v1/jobs", "/v1/jobs/{job_id}", "/v1/jobs/retry"} <= tried


def _checks() -> list[Any]:
    from schemathesis.checks import not_a_server_error  # noqa: PLC0415 - as above
    from schemathesis.specs.openapi.checks import (  # noqa: PLC0415 - as above
        content_type_conformance,
        status_code_conformance,
    )

    return [not_a_server_error, status_code_conformance, content_type_conformance]


def _try(cases: SearchStrategy[Any], url: str) -> None:
    checks = _checks()

    @settings(
        max_examples=CASES_PER_ROUTE,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases)
    def one(case: Any) -> None:
        case.call_and_validate(base_url=url, checks=checks)

    one()
