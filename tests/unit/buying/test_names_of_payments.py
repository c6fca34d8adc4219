"""By which names a buyer finds a payment, and how the list of payments goes on."""

from typing import Any

import botocore.session
import pytest
from billing import cursors
from billing.books import Books
from billing.buying import queries
from billing.errors import BillingError
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.storage.dynamodb import Store
from billing.storage.writes import KEY_NAMES
from support import builders
from support.builders import Clock, fact, pending
from support.deadlines import PausedDeadline
from support.fakes.dynamodb_client import Scripted
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books(clock: Clock) -> Books:
    """Nothing was sold."""
    return builders.books_on(MemoryStore(), clock=clock)


def _paid(books: Books, number: int, user_id: str = "alice") -> Payment:
    payment = pending(books, user_id, payment_id=f"pay_{number}", session_id=f"cs_{number}")
    settlement.apply(books, fact(builders.completed(payment)))
    return payment


@pytest.mark.parametrize("name", ["pay_1", "cs_1", "pi_1"])
def test_a_payment_is_found_by_each_of_its_ids(books: Books, name: str) -> None:
    _paid(books, 1)
    assert queries.find(books, "alice", name).payment_id == "pay_1"


@pytest.mark.parametrize(
    "name",
    ["pay_2", "cs_2", "pi_2", "pay_9", "cs_9", "pi_9", "", "pay_", "1", "reference", "user#alice"],
)
def test_no_other_name_finds_one(books: Books, name: str) -> None:
    """Also not another user's payment, by any of its ids."""
    _paid(books, 1)
    _paid(books, 2, "bob")
    with pytest.raises(BillingError) as refused:
        queries.find(books, "alice", name)
    assert (refused.value.code, refused.value.status) == ("not_found", 404)
    assert refused.value.detail == "you have no such payment"


def test_a_session_row_is_no_payment(books: Books) -> None:
    """Nor is a row of a caller's key, which lies beside the payments."""
    rows: Any = books.store
    _paid(books, 1)
    rows.tables["payments"]["user#alice", "key#1"] = {"payment_id": "pay_1"}
    with pytest.raises(BillingError, match="not_found"):
        queries.find(books, "alice", "key#1")


def test_an_intent_finds_its_payment_once_that_is_paid(books: Books) -> None:
    pending(books, payment_id="pay_1", session_id="cs_1")
    with pytest.raises(BillingError, match="not_found"):
        queries.find(books, "alice", "pi_1")


@pytest.mark.parametrize(("length", "calls"), [(255, 1), (256, 0)])
def test_a_name_is_as_long_as_stripes_are(books: Books, length: int, calls: int) -> None:
    """https://docs.stripe.com/upgrades: 255 characters."""
    rows: Any = books.store
    with pytest.raises(BillingError):
        queries.find(books, "alice", "cs_" + "x" * (length - 3))
    assert rows.calls == calls


def test_payments_are_listed_newest_first_page_by_page(books: Books) -> None:
    """Own ones only, whole, and none of the rows beside them."""
    for number in range(1, 6):
        _paid(books, number)
    _paid(books, 6, "bob")
    shown: list[Any] = []
    cursor = ""
    for _ in range(3):
        page = queries.payments(books, "alice", 2, cursor)
        assert set(page) == {"payments", "next_cursor"}
        shown.append([payment["payment_id"] for payment in page["payments"]])
        for payment in page["payments"]:
            assert payment == queries.find(books, "alice", payment["payment_id"]).as_answer()
        cursor = page["next_cursor"]
    assert shown == [["pay_5", "pay_4"], ["pay_3", "pay_2"], ["pay_1"]]
    assert cursor is None
    first = queries.payments(books, "alice", 2, "")
    assert first["next_cursor"] == cursors.sealed({"id": "pay_4"})


def test_a_user_without_payments_has_an_empty_list(books: Books) -> None:
    assert queries.payments(books, "alice", 20, "") == {"payments": [], "next_cursor": None}


@pytest.mark.parametrize("place", ["cs_1", "key#1", "", 5, "pay_" + "x" * 1021])
def test_a_list_goes_on_after_a_payment_alone(books: Books, place: object) -> None:
    """DynamoDB would refuse another place."""
    with pytest.raises(BillingError, match="invalid_request"):
        queries.payments(books, "alice", 2, cursors.sealed({"id": place}))
    longest = cursors.sealed({"id": "pay_" + "x" * 1020})
    assert queries.payments(books, "alice", 2, longest)["payments"] == []


def test_a_list_is_asked_for_after_a_whole_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB refuses a part of one, and the owner comes from the token alone."""
    client = Scripted({"Items": []})
    monkeypatch.setattr(botocore.session, "get_session", lambda: client)
    store = Store(dict.fromkeys(KEY_NAMES, "T"), PausedDeadline(), "eu-central-1")
    cursor = cursors.sealed({"id": "pay_4", "owner": "user#bob"})
    queries.payments(builders.books_on(store), "alice", 2, cursor)
    ((_, request),) = client.asked
    assert request["ExclusiveStartKey"] == {"owner": {"S": "user#alice"}, "id": {"S": "pay_4"}}
    assert request["ExpressionAttributeValues"] == {":h": {"S": "user#alice"}, ":p": {"S": "pay_"}}
    assert (request["Limit"], request["ScanIndexForward"]) == (2, False)
