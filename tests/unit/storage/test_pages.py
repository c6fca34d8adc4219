"""Pages of items: where the next one begins, and what sparse indexes are asked for."""

from typing import Any

import botocore.session
import pytest
from billing.storage.dynamodb import Store
from billing.storage.reader import Page
from billing.storage.writes import KEY_NAMES
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import Scripted

TABLES = {table: f"{table}-table" for table in KEY_NAMES}


def _store(monkeypatch: pytest.MonkeyPatch, *answers: Any) -> tuple[Store, Scripted]:
    client = Scripted(*answers)
    monkeypatch.setattr(botocore.session, "get_session", lambda: client)
    return Store(TABLES, PausedDeadline(), "eu-central-1"), client


FIRST = {
    "Items": [{"n": {"N": "1"}}, {"n": {"N": "2"}}],
    "LastEvaluatedKey": {"user_id": {"S": "alice"}, "n": {"N": "2"}},
}
LAST = {"Items": [{"n": {"N": "3"}}]}


def test_a_page_says_where_the_next_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """None after the last."""
    store, _ = _store(monkeypatch, FIRST, LAST)
    first = store.query("ledger", "alice")
    assert first == Page([{"n": 1}, {"n": 2}], {"user_id": "alice", "n": 2})
    assert store.query("ledger", "alice") == Page([{"n": 3}], None)


def test_all_pages_of_a_partition_are_read_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page may be empty and not the last."""
    empty = {"Items": [], "LastEvaluatedKey": {"user_id": {"S": "alice"}, "n": {"N": "2"}}}
    store, client = _store(monkeypatch, FIRST, empty, LAST)
    assert list(store.pages("ledger", "alice", "funded:")) == [{"n": 1}, {"n": 2}, {"n": 3}]
    begins = [request.get("ExclusiveStartKey") for _, request in client.asked]
    after = {"user_id": {"S": "alice"}, "n": {"N": "2"}}
    assert begins == [None, after, after]
    assert {request["KeyConditionExpression"] for _, request in client.asked} == {
        "#h = :h AND begins_with(#r, :p)"
    }


@pytest.mark.parametrize("asked", [99, 100, 101])
def test_a_page_has_at_most_a_hundred_items(monkeypatch: pytest.MonkeyPatch, asked: int) -> None:
    store, client = _store(monkeypatch, {"Items": []})
    store.query("ledger", "alice", limit=asked)
    assert [request["Limit"] for _, request in client.asked] == [min(asked, 100)]


@pytest.mark.parametrize(
    ("table", "names"),
    [
        ("payments", ("owner", "id")),
        ("quotas", ("user_id", "item")),
        ("events", ("subject", "fact_id")),
        ("ledger", ("user_id", "entry_id")),
        ("keys", ("owner", "id")),
        ("notices", ("user_id", "notice")),
    ],
)
def test_a_row_is_asked_for_by_both_parts_of_its_tables_key(
    monkeypatch: pytest.MonkeyPatch, table: Any, names: tuple[str, str]
) -> None:
    """As template.yaml has them."""
    store, client = _store(monkeypatch, {"Item": {"n": {"N": "1"}}})
    assert store.get(table, ("a", "b")) == {"n": 1}
    key = {names[0]: {"S": "a"}, names[1]: {"S": "b"}}
    request = {"TableName": f"{table}-table", "Key": key, "ConsistentRead": True}
    assert client.asked == [("GetItem", request)]


AFTER = {"user_id": "alice", "n": 5}
INDEXES = {
    "due": (
        lambda store, after: store.due(1000, after),
        ("quotas", "open_holds", "#m = :m AND #r <= :r", "open", "expires_at"),
        ({"S": "open"}, {"N": "1000"}),
    ),
    "due under another mark": (
        lambda store, after: store.due(1000, after, "expires_7"),
        ("quotas", "open_holds", "#m = :m AND #r <= :r", "open", "expires_at"),
        ({"S": "expires_7"}, {"N": "1000"}),
    ),
    "due notices": (
        lambda store, after: store.due_notices(1000, after),
        ("notices", "due_notices", "#m = :m AND #r <= :r", "due", "due_at"),
        ({"S": "due"}, {"N": "1000"}),
    ),
    "due top-ups": (
        lambda store, after: store.due_top_ups(1000, after),
        ("quotas", "open_holds", "#m = :m AND #r <= :r", "open", "expires_at"),
        ({"S": "top_up"}, {"N": "1000"}),
    ),
    "unseen": (
        lambda store, after: store.unseen("2026-01-01", after),
        ("payments", "unseen", "#m = :m AND #r >= :r", "unseen", "completed_at"),
        ({"S": "unseen"}, {"S": "2026-01-01"}),
    ),
}


@pytest.mark.parametrize("after", [None, AFTER], ids=["first", "next"])
@pytest.mark.parametrize(("ask", "index", "values"), INDEXES.values(), ids=INDEXES)
def test_a_sparse_index_is_asked_for_a_page_of_its_mark(
    monkeypatch: pytest.MonkeyPatch, ask: Any, index: Any, values: Any, after: Any
) -> None:
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-indexes-general-sparse-indexes.html."""
    store, client = _store(monkeypatch, FIRST)
    assert ask(store, after) == Page([{"n": 1}, {"n": 2}], {"user_id": "alice", "n": 2})
    table, name, condition, mark, order = index
    begins = {"ExclusiveStartKey": {"user_id": {"S": "alice"}, "n": {"N": "5"}}} if after else {}
    request = {
        "TableName": f"{table}-table",
        "IndexName": name,
        "KeyConditionExpression": condition,
        "ExpressionAttributeNames": {"#m": mark, "#r": order},
        "ExpressionAttributeValues": {":m": values[0], ":r": values[1]},
        "Limit": 100,
        **begins,
    }
    assert client.asked == [("Query", request)]
