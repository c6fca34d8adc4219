"""GET /openapi.json describes what is there."""

import json
from typing import Any

import pytest
from billing.api import members
from billing.errors import BillingError
from functional.lab import Lab
from jsonschema_rs import Draft202012Validator
from repo.declared import functions
from support import described


def _described(lab: Lab) -> dict[str, Any]:
    said = lab.call("GET", "/openapi.json")
    assert said.status == 200
    return said.json


def test_every_route_of_the_template_is_described_and_no_other(lab: Lab) -> None:
    """The page and its files are for people."""
    paths = _described(lab)["paths"]
    found = {
        (method.upper(), f"/api/v1{path}")
        for path, row in paths.items()
        for method in row
        if method != "parameters"
    }
    events = [
        event["Properties"]
        for row in functions().values()
        for event in row.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    ]
    assert found == {
        (event["Method"], event["Path"]) for event in events if event["Path"].startswith("/api/v1")
    }


def test_every_schema_that_is_named_is_there(lab: Lab) -> None:
    """OpenAPI 3.1, whole."""
    document = _described(lab)
    assert document["openapi"].startswith("3.1")
    named = {
        part.split('"', 1)[0] for part in json.dumps(document).split("#/components/schemas/")[1:]
    }
    assert named == set(document["components"]["schemas"])


def test_the_description_is_valid_openapi(lab: Lab) -> None:
    """By the specification's own schema (https://spec.openapis.org/oas/3.1/schema/2025-09-15); its
    schemas by that of JSON Schema.
    """
    import schemathesis  # noqa: PLC0415 - it takes half a second, which every other process of the tests would take too

    document = _described(lab)
    schemathesis.openapi.from_dict(document).validate()
    for name in document["components"]["schemas"]:
        Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        )


def test_texts_are_refused_as_they_are_described(lab: Lab) -> None:
    """Character by character: validation and description read one pattern, each in its own
    language.
    """
    name = _body(lab, "/keys")["name"]
    is_described = Draft202012Validator(name).is_valid
    characters = [
        chr(number)
        for number in (*range(0xD800), *range(0xE000, 0x1_0000), 0x1F600, 0xE0001, 0x10FFFF)
    ]
    assert [one for one in characters if is_described(one) != _is_taken(one)] == []
    assert [is_described(one) for one in ("", "x" * 100, "x" * 101)] == [False, True, False]


def _body(lab: Lab, path: str) -> dict[str, Any]:
    found: dict[str, Any] = _described(lab)["paths"][path]["post"]["requestBody"]["content"][
        "application/json"
    ]["schema"]["properties"]
    return found


def _is_taken(value: str) -> bool:
    try:
        return members.text({"name": value}, "name", 100) == value
    except BillingError:
        return False


@pytest.mark.parametrize("path", ["/payments/checkout", "/quota/debits"])
def test_what_may_be_repeated_names_the_header_for_it(lab: Lab, path: str) -> None:
    (header,) = _described(lab)["paths"][path]["post"]["parameters"]
    assert (header["name"], header["in"], header["schema"]["maxLength"]) == (
        "Idempotency-Key",
        "header",
        255,
    )
    is_described = Draft202012Validator(header["schema"]).is_valid
    assert [is_described(key) for key in ("a", "a b", " a", "a ", "", "é", "a\tb")] == [
        True,
        True,
        False,
        False,
        False,
        False,
        False,
    ]


PROBLEM = {
    "type": "about:blank",
    "title": "x",
    "status": 402,
    "code": "quota_exhausted",
    "detail": "x",
    "request_id": "x",
}
EXHAUSTED = PROBLEM | {"remaining": 0, "top_up_url": "https://shop.example.com"}
AS_PROBLEM, AS_JSON = (
    {"content-type": "application/problem+json"},
    {"content-type": "application/json", "x-request-id": "x"},
)


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (418, AS_PROBLEM, EXHAUSTED),
        (402, AS_JSON, EXHAUSTED),
        (402, AS_PROBLEM, PROBLEM),
        (402, AS_PROBLEM, EXHAUSTED | {"code": "not_found"}),
        (402, AS_PROBLEM, EXHAUSTED | {"remaining": -1}),
        (402, AS_PROBLEM, EXHAUSTED | {"email": "alice@example.com"}),
        (200, AS_JSON, {"debit_id": "deb_1", "units": 1}),
        (200, AS_JSON | {"x-request-id": None}, {"debit_id": "deb_1", "units": 1, "remaining": 0}),
    ],
)
def test_an_answer_beside_the_description_fails_the_test_that_gets_it(
    status: int, headers: dict[str, str], body: dict[str, Any]
) -> None:
    """Every answer of these tests and of those on the stand goes through this check."""
    sent = {name: value for name, value in headers.items() if value}
    described.check("POST", "/quota/debits", 402, AS_PROBLEM, json.dumps(EXHAUSTED))
    with pytest.raises(AssertionError, match="answered"):
        described.check("POST", "/quota/debits", status, sent, json.dumps(body))


def test_every_list_says_how_long_it_can_be(lab: Lab) -> None:
    """A client that reads it may reserve the place."""
    schemas = lab.call("GET", "/openapi.json").json["components"]["schemas"]
    lists = [
        (name, member, schema)
        for name, row in schemas.items()
        for member, schema in row.get("properties", {}).items()
        if schema.get("type") == "array"
    ]
    assert {(name, member) for name, member, _ in lists} == {
        *(
            ("Plans", "plans"),
            ("Payments", "payments"),
            ("Entries", "entries"),
            ("Lots", "lots"),
            ("Keys", "keys"),
        )
    }
    assert all(schema["maxItems"] > 0 for _, _, schema in lists)
