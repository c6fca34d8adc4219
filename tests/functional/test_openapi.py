"""GET /openapi.json describes what is there."""

import json
from typing import Any

from functional.lab import Lab
from repo.declared import functions


def _described(lab: Lab) -> dict[str, Any]:
    said = lab.call("GET", "/openapi.json")
    assert said.status == 200
    return said.json


def test_every_route_of_the_template_is_described_and_no_other(lab: Lab) -> None:
    """The page and its files are for people."""
    described = _described(lab)
    found = {(method.upper(), f"/api/v1{path}") for path, row in described["paths"].items() for method in row if method != "parameters"}
    events = [event["Properties"] for row in functions().values() for event in row.get("Events", {}).values() if event["Type"] == "HttpApi"]
    assert found == {(event["Method"], event["Path"]) for event in events if event["Path"].startswith("/api/v1")}


def test_every_schema_that_is_named_is_there(lab: Lab) -> None:
    """OpenAPI 3.1, whole."""
    described = _described(lab)
    assert described["openapi"].startswith("3.1")
    text = json.dumps(described)
    named = {part.split('"', 1)[0] for part in text.split("#/components/schemas/")[1:]}
    assert named <= set(described["components"]["schemas"])
    assert set(described["components"]["schemas"]) <= named
