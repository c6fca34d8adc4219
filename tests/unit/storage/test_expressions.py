"""What is sent to DynamoDB, to the last member: emulators forgive what it does not."""

from typing import Any

import pytest
from billing.errors import AwsRefusedError
from billing.storage.dynamodb import Store
from billing.storage.writes import KEY_NAMES, Must, Write, equals
from botocore.exceptions import ClientError, ReadTimeoutError
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import DynamoDBClient

TABLES = {table: f"{table}-table" for table in KEY_NAMES}


class Line(DynamoDBClient):
    """Stands where botocore's client stands: remembers what was asked, and answers that there is
    nothing.
    """

    def __init__(self) -> None:
        """Nothing was asked."""
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def ask(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Answer as botocore would."""
        self.asked.append((operation, request))
        return {"Items": [], "Attributes": {}}


@pytest.fixture
def line() -> Line:
    """A quiet one."""
    return Line()


@pytest.fixture
def store(line: Line) -> Store:
    """Over it."""
    made = Store(TABLES, PausedDeadline(), "us-east-1")
    made._client = line
    return made


def test_a_read_names_the_whole_key_and_wants_what_is_written(store: Store, line: Line) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html."""
    assert store.get("quotas", ("alice", "quota")) is None
    key = {"user_id": {"S": "alice"}, "item": {"S": "quota"}}
    assert line.asked == [
        ("GetItem", {"TableName": "quotas-table", "Key": key, "ConsistentRead": True})
    ]


QUERY = {
    "TableName": "ledger-table",
    "KeyConditionExpression": "#h = :h",
    "ExpressionAttributeNames": {"#h": "user_id"},
    "ExpressionAttributeValues": {":h": {"S": "alice"}},
    "ScanIndexForward": True,
    "Limit": 100,
    "ConsistentRead": True,
}
PREFIXED = {
    "KeyConditionExpression": "#h = :h AND begins_with(#r, :p)",
    "ExpressionAttributeNames": {"#h": "user_id", "#r": "entry_id"},
    "ExpressionAttributeValues": {":h": {"S": "alice"}, ":p": {"S": "funded:"}},
}
BETWEEN = {
    "KeyConditionExpression": "#h = :h AND #r BETWEEN :a AND :b",
    "ExpressionAttributeNames": {"#h": "user_id", "#r": "entry_id"},
    "ExpressionAttributeValues": {":h": {"S": "alice"}, ":a": {"S": "funded:"}, ":b": {"S": "g"}},
}


@pytest.mark.parametrize(
    ("asked", "differs"),
    [
        ({}, {}),
        ({"prefix": "funded:"}, PREFIXED),
        ({"prefix": "funded:", "up_to": "g"}, BETWEEN),
        ({"limit": 7, "newest_first": True}, {"Limit": 7, "ScanIndexForward": False}),
        ({"limit": 1000}, {}),
        ({"index": "by_time"}, {"IndexName": "by_time"}),
        (
            {"after": {"user_id": "alice", "n": 5}},
            {"ExclusiveStartKey": {"user_id": {"S": "alice"}, "n": {"N": "5"}}},
        ),
    ],
    ids=str,
)
def test_a_query_asks_for_one_owners_rows(
    store: Store, line: Line, asked: dict[str, Any], differs: dict[str, Any]
) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html."""
    store.query("ledger", "alice", **asked)
    assert line.asked == [("Query", {**QUERY, **differs})]


def test_an_index_over_all_owners_is_asked_for_those_that_carry_its_mark(
    store: Store, line: Line
) -> None:
    """Never consistently: such an index cannot be."""
    store.due(1_000)
    store.unseen("2026-01-01")
    due, unseen = (request for _, request in line.asked)
    assert due == {
        "TableName": "quotas-table",
        "IndexName": "open_holds",
        "KeyConditionExpression": "#m = :m AND #r <= :r",
        "ExpressionAttributeNames": {"#m": "open", "#r": "expires_at"},
        "ExpressionAttributeValues": {":m": {"S": "open"}, ":r": {"N": "1000"}},
        "Limit": 100,
    }
    assert unseen == {
        "TableName": "payments-table",
        "IndexName": "unseen",
        "KeyConditionExpression": "#m = :m AND #r >= :r",
        "ExpressionAttributeNames": {"#m": "unseen", "#r": "completed_at"},
        "ExpressionAttributeValues": {":m": {"S": "unseen"}, ":r": {"S": "2026-01-01"}},
        "Limit": 100,
    }


def test_a_scan_reads_one_segment(store: Store, line: Line) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html."""
    store.scan("ledger", 2, 3, after={"user_id": "alice"})
    store.scan("ledger")
    whole = {
        "TableName": "ledger-table",
        "Segment": 0,
        "TotalSegments": 1,
        "Limit": 100,
        "ConsistentRead": True,
    }
    part = {"Segment": 2, "TotalSegments": 3, "ExclusiveStartKey": {"user_id": {"S": "alice"}}}
    assert line.asked == [("Scan", {**whole, **part}), ("Scan", whole)]


WRITE = Write(
    "quotas",
    ("alice", "quota"),
    set={"at": "now"},
    add={"used": 5},
    remove=("old",),
    must=(equals("held", 1), Must("left", ">=", 2)),
)
SPELLED = {
    "TableName": "quotas-table",
    "Key": {"user_id": {"S": "alice"}, "item": {"S": "quota"}},
    "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    "ConditionExpression": "(#0 = :0 AND #1 >= :1)",
    "UpdateExpression": "SET #2 = :2 REMOVE #3 ADD #4 :3",
    "ExpressionAttributeNames": {"#0": "held", "#1": "left", "#2": "at", "#3": "old", "#4": "used"},
    "ExpressionAttributeValues": {
        ":0": {"N": "1"},
        ":1": {"N": "2"},
        ":2": {"S": "now"},
        ":3": {"N": "5"},
    },
}


def test_a_write_says_what_it_must_meet_and_what_it_changes(store: Store, line: Line) -> None:
    """Alone, and as a part of a transaction, of which each has a token of its own."""
    store.update(WRITE)
    check = Write("events", ("a", "b"), must=(equals("kind", "c"),))
    delete = Write("events", ("a", "c"), delete=True)
    for _ in range(2):
        store.commit(WRITE, check, delete)
    (_, alone), (_, first), (_, second) = line.asked
    assert alone == {**SPELLED, "ReturnValues": "ALL_NEW"}
    assert [next(iter(action)) for action in first["TransactItems"]] == [
        "Update",
        "ConditionCheck",
        "Delete",
    ]
    assert first["TransactItems"][0]["Update"] == SPELLED
    assert first["TransactItems"][1]["ConditionCheck"] == {
        "TableName": "events-table",
        "Key": {"subject": {"S": "a"}, "fact_id": {"S": "b"}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        "ConditionExpression": "#0 = :0",
        "ExpressionAttributeNames": {"#0": "kind"},
        "ExpressionAttributeValues": {":0": {"S": "c"}},
    }
    assert set(first) == {"TransactItems", "ClientRequestToken"}
    assert first["ClientRequestToken"] != second["ClientRequestToken"]
    assert len(first["ClientRequestToken"]) <= 36


def test_a_page_whose_answer_was_lost_is_asked_for_again(store: Store, line: Line) -> None:
    """A read changes nothing, however often it is carried out."""
    ask, lost = line.ask, [True]

    def answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
        done = ask(operation, request)
        if lost:
            lost.clear()
            raise ReadTimeoutError(endpoint_url="dynamodb")
        return done

    line.ask = answer  # type: ignore[method-assign]
    assert store.query("ledger", "alice").items == []
    assert len(line.asked) == 2


def test_a_transaction_that_can_never_succeed_is_a_fault(store: Store, line: Line) -> None:
    """Of the reasons none is a condition, and none passes by itself."""

    def answer(operation: str, _: dict[str, Any]) -> dict[str, Any]:
        told: Any = {
            "Error": {"Code": "TransactionCanceledException"},
            "CancellationReasons": [{"Code": "None"}, {"Code": "ValidationError"}],
        }
        raise ClientError(told, operation)

    line.ask = answer  # type: ignore[method-assign, assignment]
    with pytest.raises(AwsRefusedError, match="ValidationError"):
        store.commit(WRITE)
