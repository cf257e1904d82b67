"""The document that clients are generated from."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from argosy import config
from argosy.gateway.app import create_app
from argosy.gateway.problems import KINDS
from argosy.turn.status import Status


@pytest.fixture(scope="module")
def app() -> Any:
    return create_app(config.load({}, state_db_uri="postgresql://nowhere/x"))


@pytest.fixture(scope="module")
def document(app: Any) -> dict[str, Any]:
    found: dict[str, Any] = app.openapi()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [(path, operation) for path, methods in document["paths"].items() for operation in methods.values()]


def test_it_is_valid(document: dict[str, Any]) -> None:
    validate(document)


def test_every_route_is_in_it(app: Any, document: dict[str, Any]) -> None:
    outside = {"/", "/docs", "/metrics", "/openapi.json", "/console/{name}", "/favicon.ico"}
    of_browsers = {"/v1/login/oidc", "/v1/login/oidc/callback"}  # reached by the address bar: no program calls them
    routes = {route.path for route in app.routes if hasattr(route, "path")} - of_browsers

    assert {path for path in routes - set(document["paths"]) if path.startswith("/v1")} == set()
    assert routes - set(document["paths"]) <= outside, routes - set(document["paths"]) - outside


def test_operations_have_short_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]

    assert len(set(names)) == len(names)
    assert all(name.replace("_", "").isalpha() and name.islower() for name in names)


def test_every_operation_of_a_tenant_says_so_and_answers_problems(document: dict[str, Any]) -> None:
    for path, operation in operations(document):
        if path.startswith("/v1/"):
            named = "X-Argosy-Tenant" in [each["name"] for each in operation.get("parameters", [])]
            assert named == (operation["security"] != []), path
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert "application/problem+json" in answer["content"], (path, status)


def test_a_text_that_is_refused_for_its_nul_does_not_fit_the_document(document: dict[str, Any]) -> None:
    """But for a cursor: one that this list did not give out is refused as such."""
    named = {
        (operation["operationId"], each["name"])
        for _, operation in operations(document)
        for each in operation.get("parameters", [])
        if each["in"] == "query" and each["name"] != "cursor"
        if Draft202012Validator(each["schema"] | {"components": document["components"]}).is_valid("a\0")
    }

    assert named == set()


def test_words_are_those_of_the_code(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]

    assert schemas["Problem"]["properties"]["code"]["enum"] == list(KINDS)
    for shape in ("Turn", "TurnSummary", "Sent", "Explanation"):
        assert schemas[shape]["properties"]["status"]["enum"] == list(Status)


def test_a_whole_number_is_an_integer_to_clients(document: dict[str, Any]) -> None:
    for shape in ("TurnPosted", "BatchLine"):
        priority = document["components"]["schemas"][shape]["properties"]["priority"]
        assert priority == {"type": "integer", "minimum": -100, "maximum": 100}


def test_examples_fit_their_shapes(document: dict[str, Any]) -> None:
    with_examples = {name: each for name, each in document["components"]["schemas"].items() if "examples" in each}

    assert {"TurnPosted", "BatchLine", "TurnAccepted", "Sent", "Problem"} <= set(with_examples)
    for name, schema in with_examples.items():
        validator = Draft202012Validator(
            {**schema, "components": document["components"]}, format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        for example in schema["examples"]:
            assert [error.message for error in validator.iter_errors(example)] == [], name


def test_a_second_app_of_a_process_has_the_same_document(document: dict[str, Any]) -> None:
    assert create_app(config.load({}, state_db_uri="postgresql://nowhere/x")).openapi() == document
