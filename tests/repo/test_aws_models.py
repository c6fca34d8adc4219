"""The functions' calls to AWS: AWS's models know them, they end in time, and read every page."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import botocore.session
import pytest
from billing.deadline import Deadline
from billing.payments import fact_queue
from billing.storage.connection import UNTIL_DEADLINE
from billing.storage.dynamodb import Store
from billing.wiring.secrets import Reader
from botocore.exceptions import ParamValidationError

from infra.local.paths import REGION, ROOT

SOURCES: Final = sorted((ROOT / "functions").glob("*.py")) + sorted(
    (ROOT / "functions" / "billing").rglob("*.py")
)
NOWHERE: Final = "http://127.0.0.1:9"
LONGEST_SECONDS: Final = 29
"""After it API Gateway has given up.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html
"""
OPERATIONS: Final = {"_ask": 0, "_page": 0}
"""Methods of the store that take the name of an operation, and where."""


@pytest.fixture
def signed_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing is reachable: what is refused here was refused before it was sent."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)
    yield
    fact_queue._client.cache_clear()


def _store() -> Store:
    return Store({"quotas": "quotas"}, Deadline(1), REGION, NOWHERE)


@pytest.mark.parametrize(
    ("operation", "request_", "word"),
    [
        (
            "GetItem",
            {"TableName": "quotas", "Key": {"user_id": "a"}},
            "Invalid type for parameter Key.user_id",
        ),
        ("GetItem", {"TableName": "quotas"}, "Missing required parameter"),
        (
            "UpdateItem",
            {"TableName": "quotas", "Key": {}, "ConditionExpresion": "x"},
            "Unknown parameter",
        ),
        ("Query", {"TableName": "quotas", "Limit": 0}, "Invalid value for parameter Limit"),
        ("TransactWriteItems", {"TransactItems": []}, "Invalid length for parameter TransactItems"),
    ],
)
@pytest.mark.usefixtures("signed_in")
def test_a_wrong_parameter_of_the_store_ends_the_test_that_sends_it(
    operation: str, request_: dict[str, Any], word: str
) -> None:
    """Although the store's own client validates nothing, and whatever would be retried."""
    with pytest.raises(AssertionError, match=word):
        _store()._ask(operation, request_, UNTIL_DEADLINE)


@pytest.mark.usefixtures("signed_in")
def test_the_queue_and_the_secrets_are_validated_in_production_too() -> None:
    """They are asked seldom; botocore's own validation is on."""
    with pytest.raises(ParamValidationError, match="QueueUrl"):
        fact_queue._client().send_message(MessageBody="x")
    with pytest.raises(ParamValidationError, match="SecretId"):
        Reader().client.get_secret_value(SecretId=1)


@pytest.mark.usefixtures("signed_in")
def test_every_client_gives_up_before_the_caller_does() -> None:
    """Botocore's own bounds are a minute to connect, a minute to read, and five times that."""
    for client in (_store()._client, fact_queue._client(), Reader().client):
        config = client.meta.config
        attempts = config.retries["total_max_attempts"]
        assert attempts * (config.connect_timeout + config.read_timeout) < LONGEST_SECONDS, (
            client.meta.service_model.service_name
        )


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                yield path, node


def _named(method: str) -> set[str]:
    """The operations that are asked for by name in calls of a method."""
    calls: list[Any] = [node for _, node in _calls()]
    words = [node.args[OPERATIONS[method]] for node in calls if node.func.attr == method]
    return {str(word.value) for word in words if isinstance(word, ast.Constant)}


def test_every_operation_that_the_store_names_exists_and_those_in_pages_are_read_in_pages() -> None:
    """By DynamoDB's own model, and by the method that hands on where a page stopped."""
    session = botocore.session.get_session()
    known = set(session.get_service_model("dynamodb").operation_names)
    paged = set(session.get_paginator_model("dynamodb")._paginator_config)
    single, pages = _named("_ask"), _named("_page")
    assert single | pages <= known
    assert single
    assert not single & paged
    assert pages <= paged
    assert pages


def test_every_client_of_the_functions_is_one_of_the_four() -> None:
    """A fifth needs its lines above."""
    calls: list[tuple[Path, Any]] = list(_calls())
    made = {
        path.name: ast.literal_eval(node.args[0])
        for path, node in calls
        if node.func.attr == "create_client"
    }
    assert made == {
        "connection.py": "dynamodb",
        "event_bus.py": "events",
        "fact_queue.py": "sqs",
        "messages.py": "sqs",
        "secrets.py": "secretsmanager",
    }
