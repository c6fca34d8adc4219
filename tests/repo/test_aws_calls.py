"""Every call to AWS in what deploys and operates a stack, read from the source and held against
botocore's own service models.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore import xform_name

from infra.local.paths import ROOT

SOURCES: Final = sorted(
    path
    for name in ("build", "cli", "deploy", "local")
    for path in (ROOT / "infra" / name).rglob("*.py")
)
SERVICES: Final = (
    "apigatewayv2",
    "cloudformation",
    "cloudwatch",
    "cognito-idp",
    "dynamodb",
    "events",
    "lambda",
    "logs",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
)
"""All that are asked for by name there."""
OURS: Final = {"scan": "store", "query": "store"}
"""Names that methods of our own have too, with what they are called on."""
ONE_PAGE: Final = {"describe_stacks": "asked for one stack by its name"}
"""Operations in pages of which one call is enough, each with its reason."""
CAPPED: Final = {"describe_stack_resources"}
"""Stops at 100 and says nothing."""


@dataclass(frozen=True)
class Call:
    """One call of a client's method, as it is written."""

    place: str
    receiver: str
    method: str
    names: frozenset[str]
    is_open: bool

    def __str__(self) -> str:
        """For the test's name."""
        return f"{self.place.split(':')[0]} {self.method}"


def _clients() -> dict[str, Any]:
    return {name: boto3.client(name, region_name="us-east-1") for name in SERVICES}


CLIENTS: Final = _clients()
OPERATIONS: Final = {
    method: name for name, client in CLIENTS.items() for method in client.meta.method_to_api_mapping
}


def _nodes(path: Path) -> Iterator[ast.Call]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield node


def _calls() -> Iterator[Call]:
    for path in SOURCES:
        for node in _nodes(path):
            assert isinstance(node.func, ast.Attribute)
            method, receiver = node.func.attr, ast.unparse(node.func.value)
            if method in OPERATIONS and receiver.split(".")[-1] != OURS.get(method):
                names = frozenset(word.arg for word in node.keywords if word.arg)
                is_open = any(word.arg is None for word in node.keywords)
                yield Call(
                    f"{path.relative_to(ROOT)}:{node.lineno}", receiver, method, names, is_open
                )


CALLS: Final = list(_calls())
PAGED: Final = [
    node
    for path in SOURCES
    for node in _nodes(path)
    if node.func.attr == "get_paginator" and isinstance(node.args[0], ast.Constant)  # type: ignore[attr-defined]
]


def _models(method: str) -> list[Any]:
    """Of every service that has a method of this name."""
    found = [client for client in CLIENTS.values() if method in client.meta.method_to_api_mapping]
    return [
        client.meta.service_model.operation_model(client.meta.method_to_api_mapping[method])
        for client in found
    ]


def _is_paged(method: str) -> bool:
    clients = [client for client in CLIENTS.values() if method in client.meta.method_to_api_mapping]
    return any(client.can_paginate(method) for client in clients)


def test_the_calls_are_found() -> None:
    """The reading does not overlook them, and every service that is asked for is one that is looked
    at.
    """
    assert len(CALLS) > 30
    asked = {
        node.args[0].value
        for path in SOURCES
        for node in _nodes(path)
        if node.func.attr == "client" and node.args and isinstance(node.args[0], ast.Constant)  # type: ignore[attr-defined]
    }
    assert asked <= set(SERVICES)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_every_call_has_the_parameters_that_the_service_knows_and_needs(call: Call) -> None:
    """By the model that boto3 itself validates with; what stands in a mapping (**) is validated
    when it runs.
    """
    shapes = [model.input_shape for model in _models(call.method)]
    assert any(_fits(shape, call) for shape in shapes), (
        f"{call.method} takes {[sorted(shape.members) for shape in shapes if shape]}"
    )


def _fits(shape: Any, call: Call) -> bool:
    members = set(shape.members) if shape else set()
    required = set(shape.required_members) if shape else set()
    return call.names <= members and (call.is_open or required <= call.names)


@pytest.mark.parametrize("call", CALLS, ids=str)
def test_what_comes_in_pages_is_read_to_the_end(call: Call) -> None:
    """No list stops where its first page does, unless a reason says why one is enough."""
    assert call.method not in CAPPED, (
        "it stops at 100 without a word: list_stack_resources, in pages"
    )
    assert not _is_paged(call.method) or call.method in ONE_PAGE


def test_no_reason_is_left_over() -> None:
    """What is no longer called needs none."""
    assert set(ONE_PAGE) <= {call.method for call in CALLS}


@pytest.mark.parametrize("node", PAGED, ids=ast.unparse)
def test_every_paginator_exists(node: ast.Call) -> None:
    """Its name is an operation that comes in pages."""
    name = ast.literal_eval(node.args[0])
    assert _is_paged(name)
    assert name == xform_name(name)


def test_nothing_waits_without_a_bound() -> None:
    """A waiter of botocore's own choosing waits an hour in silence, or two minutes and gives up.

    Only waiting.py uses them.
    """
    waiters = [
        f"{path.name}:{node.lineno}"
        for path in SOURCES
        for node in _nodes(path)
        if node.func.attr == "get_waiter"  # type: ignore[attr-defined]
    ]
    assert [place.split(":")[0] for place in waiters] == ["waiting.py"]
    assert "WaiterConfig" in (ROOT / "infra" / "deploy" / "waiting.py").read_text()


def test_no_client_switches_its_validation_off() -> None:
    """boto3 then sends whatever it is given."""
    assert not [path.name for path in SOURCES if "parameter_validation" in path.read_text()]
