"""Holds every answer that a test gets against the API's own description: status, code, content
type, headers, every member.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from billing.api import openapi
from jsonschema_rs import Draft202012Validator

BASE: Final = "/api/v1"


def check(method: str, path: str, status: int, headers: Mapping[str, str], body: str) -> None:
    """Raise AssertionError for an answer that the description does not know.

    Routes that it does not know are not looked at.
    """
    found = _operation(method, path.partition("?")[0])
    if found is None:
        return
    where = f"{method} {path[:80]} answered {status}"
    answer = found["responses"].get(str(status))
    assert answer, f"{where}, described are {', '.join(found['responses'])}"
    missing = [
        name
        for name, header in answer.get("headers", {}).items()
        if header["required"] and name not in headers
    ]
    assert not missing, f"{where} without {missing}"
    if "content" not in answer:
        assert body == "", f"{where} with a body"
        return
    kind = headers["content-type"].partition(";")[0]
    assert kind in answer["content"], (
        f"{where} as {kind}, described are {', '.join(answer['content'])}"
    )
    content = json.loads(body)
    assert "code" not in content or content["code"] in answer["description"].split(", "), (
        f"{where}, {content['code']}: {answer['description']}"
    )
    faults = [
        error.message
        for error in _validator(answer["content"][kind]["schema"]["$ref"]).iter_errors(content)
    ]
    assert not faults, f"{where}: {faults}"


def _operation(method: str, path: str) -> dict[str, Any] | None:
    for pattern, methods in _paths():
        if pattern.fullmatch(path.removeprefix(BASE)):
            found: dict[str, Any] | None = methods.get(method.lower())
            return found
    return None


@cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """In the description's order: ``/payments/checkout`` before ``/payments/{id}``."""
    paths = openapi.document()["paths"].items()
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), methods)
        for path, methods in paths
    ]


@cache
def _validator(reference: str) -> Draft202012Validator:
    """A member too many is a fault as well: what is not described is not promised, and may be
    somebody's secret.
    """
    components = _closed(openapi.document()["components"])
    return Draft202012Validator(
        {"$ref": reference, "components": components}, validate_formats=True
    )


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(value) for name, value in schema.items()}
    return (
        {**closed, "additionalProperties": False}
        if isinstance(schema.get("properties"), dict)
        else closed
    )
