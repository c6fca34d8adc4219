"""Events out are written with the effect that they tell, in one transaction."""

import threading
from typing import Any, get_args

import pytest
from billing.api.openapi import document
from billing.books import Books
from billing.errors import ConditionFailedError, OutcomeUnknownError
from billing.notices.notice import NoticeType
from billing.notices.rows import PING, Row
from billing.quota.balance import read_account
from billing.settings import Telling
from billing.settlement import settlement
from billing.storage.writes import Write
from jsonschema_rs import Draft202012Validator
from support import builders, laws
from support.builders import fact, pending
from support.fakes.memory_store import MemoryStore


class Losing(MemoryStore):
    """A store whose next transaction is carried out and its answer lost, or not carried out."""

    def __init__(self) -> None:
        """Nothing is lost yet."""
        super().__init__()
        self.loses = ""

    def commit(self, *writes: Write) -> None:
        """Carry out, and lose what is to be lost."""
        loses, self.loses = self.loses, ""
        if loses == "before":
            raise OutcomeUnknownError("injected")
        super().commit(*writes)
        if loses == "after":
            raise OutcomeUnknownError("injected")


@pytest.fixture
def store() -> Losing:
    """An empty one."""
    return Losing()


@pytest.fixture
def books(store: Losing) -> Books:
    """Books with events on."""
    return builders.books_on(store, telling=Telling(is_on=True))


def _settle(books: Books, event: dict[str, Any]) -> str:
    books.store.deadline.begin()
    return settlement.apply(books, fact(event)).status


def rows(store: MemoryStore, user_id: str = "alice") -> list[Row]:
    """The account's events, in their order."""
    keys = sorted(key for key in store.tables["notices"] if key[0] == user_id)
    return [Row.from_item(store.tables["notices"][key]) for key in keys]


def _types(store: MemoryStore) -> list[str]:
    return [row.type for row in rows(store)]


def test_a_purchase_tells_once_and_shows_the_payment_as_the_api_does(
    books: Books, store: Losing
) -> None:
    payment = pending(books)
    event = builders.completed(payment, "evt_1")
    assert [_settle(books, event) for _ in range(3)] == ["settled", "duplicate", "duplicate"]
    (row,) = rows(store)
    assert (row.type, row.sequence, row.state) == ("payment.completed", 1, "pending")
    item = store.tables["payments"]["user#alice", payment.payment_id]
    assert row.data == type(payment).from_item(item).as_answer()
    assert read_account(books.store, "alice").told == 1
    laws.check(store)


def test_with_events_off_nothing_is_written_read_or_demanded(store: Losing) -> None:
    """Off is as it was before there were events: one call, no row, no clause."""
    books = builders.books_on(store)
    payment = pending(books)
    calls = store.calls
    assert _settle(books, builders.completed(payment)) == "settled"
    assert store.calls == calls + 1
    assert rows(store) == []
    assert "told" not in store.tables["quotas"]["alice", "quota"]


@pytest.mark.parametrize("loses", ["before", "after"])
def test_a_lost_answer_leaves_one_event_for_one_effect(
    books: Books, store: Losing, loses: str
) -> None:
    """Stripe delivers again; the payment guards its event as it guards its units."""
    payment = pending(books)
    event = builders.completed(payment)
    store.loses = loses
    with pytest.raises(OutcomeUnknownError):
        _settle(books, event)
    _settle(books, event)
    assert _types(store) == ["payment.completed"]
    laws.check(store)


def test_every_stage_of_a_payment_tells_once(books: Books, store: Losing) -> None:
    payment = pending(books)
    _settle(books, builders.declined(payment))
    _settle(books, builders.declined(payment))
    _settle(books, builders.completed(payment))
    _settle(books, builders.refunded(payment, 100))
    _settle(books, builders.refunded(payment, 100))
    _settle(books, builders.refunded(payment, payment.amount_minor))
    assert [(row.sequence, row.type, row.data.get("status")) for row in rows(store)] == [
        (1, "payment.failed", "failed"),
        (2, "payment.completed", "completed"),
        (3, "payment.refunded", "partially_refunded"),
        (4, "payment.refunded", "refunded"),
        (5, "quota.depleted", None),
    ]
    assert rows(store)[-1].data["remaining"] == 0


def test_a_dispute_tells_when_it_opens_and_when_it_is_lost(books: Books, store: Losing) -> None:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _settle(books, builders.dispute(payment, "created", "needs_response", -999))
    _settle(books, builders.dispute(payment, "closed", "lost", -999))
    types = [row.type for row in rows(store)]
    assert types == ["payment.completed", "payment.disputed", "quota.depleted", "payment.refunded"]


def _told(store: MemoryStore) -> list[tuple[str, str]]:
    """Type and status of the payment's events."""
    return [
        (row.type.removeprefix("payment."), row.data["status"])
        for row in rows(store)
        if row.type.startswith("payment.")
    ]


def test_a_second_decline_tells_where_the_api_shows_another_code(
    books: Books, store: Losing
) -> None:
    payment = pending(books)
    _settle(books, builders.declined(payment, created=100))
    _settle(books, builders.declined(payment, created=200))
    _settle(books, builders.declined(payment, "expired_card", created=300))
    _settle(books, builders.declined(payment, "older", created=50))
    assert [row.data["failure_code"] for row in rows(store)] == ["card_declined", "expired_card"]
    assert [kind for kind, _ in _told(store)] == ["failed", "failed"]


def test_a_decline_after_the_session_has_expired_tells_nothing(books: Books, store: Losing) -> None:
    """Only the code is noted; the payment is not what the event would say."""
    payment = pending(books)
    _settle(books, builders.expired(payment))
    _settle(books, builders.declined(payment))
    assert rows(store) == []


def test_a_refund_that_fails_is_told_as_the_refund_was(books: Books, store: Losing) -> None:
    payment = pending(books)
    _settle(books, builders.completed(payment))
    _settle(books, builders.refund_created(payment, "re_1", payment.amount_minor))
    _settle(books, builders.refund(payment, "re_1", payment.amount_minor, "failed"))
    _settle(books, builders.refund(payment, "re_1", payment.amount_minor, "failed"))
    assert _told(store) == [
        ("completed", "completed"),
        ("refunded", "refunded"),
        ("refunded", "completed"),
    ]
    last = [row for row in rows(store) if row.type == "payment.refunded"][-1].data
    assert (last["refunded_minor"], last["units_clawed_back"]) == (0, 0)


def test_a_dispute_tells_when_money_moves_and_when_it_is_won(books: Books, store: Losing) -> None:
    payment = pending(books)
    out = -payment.amount_minor
    _settle(books, builders.completed(payment))
    _settle(books, builders.dispute(payment, "created", "needs_response", amount=-out))
    _settle(books, builders.dispute(payment, "funds_withdrawn", "needs_response", out))
    _settle(books, builders.dispute(payment, "updated", "under_review", out))
    _settle(books, builders.dispute(payment, "closed", "won", out, -out))
    _settle(books, builders.dispute(payment, "funds_reinstated", "won", out, -out))
    assert _told(store) == [
        ("completed", "completed"),
        ("disputed", "disputed"),
        ("disputed", "disputed"),
        ("disputed", "completed"),
    ]
    laws.check(store)


def test_a_purchase_after_quota_low_tells_that_it_has_recovered(
    books: Books, store: Losing
) -> None:
    """A clawback tells the first, the purchase the second; another purchase tells nothing more."""
    books = builders.books_on(store, telling=Telling(is_on=True, low_at=50))
    one = pending(books)
    _settle(books, builders.completed(one))
    _settle(books, builders.refunded(one, one.amount_minor * 6 // 10))
    _settle(books, builders.completed(pending(books)))
    _settle(books, builders.completed(pending(books)))
    assert [row.type for row in rows(store) if row.type.startswith("quota")] == [
        "quota.low",
        "quota.recovered",
    ]


def test_a_refusal_writes_no_event(books: Books, store: Losing) -> None:
    """Another purchase told concurrently: the write is refused whole, and decided again."""
    one, two = pending(books), pending(books)
    _settle(books, builders.completed(one))
    meddled: list[bool] = []
    commit = store.commit

    def meddle(*writes: Write) -> None:
        if not meddled:
            meddled.append(True)
            _settle(books, builders.completed(two))
            with pytest.raises(ConditionFailedError):
                MemoryStore.commit(store, *writes)
            raise ConditionFailedError({1: None})
        commit(*writes)

    third = pending(books)
    store.commit = meddle  # type: ignore[method-assign]
    assert _settle(books, builders.completed(third)) == "settled"
    assert [row.sequence for row in rows(store)] == [1, 2, 3]
    assert len({row.id for row in rows(store)}) == 3
    laws.check(store)


def test_threads_leave_no_gap_and_no_double_in_an_accounts_sequence(books: Books) -> None:
    """Sixteen purchases of one account at the same time."""
    lock = threading.Lock()
    store = books.store
    commit = store.commit

    def one_at_a_time(*writes: Write) -> None:
        with lock:
            commit(*writes)

    store.commit = one_at_a_time  # type: ignore[method-assign]
    events = [builders.completed(pending(books)) for _ in range(16)]
    threads = [threading.Thread(target=settlement.apply, args=(books, fact(e))) for e in events]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(store)  # type: ignore[arg-type]
    assert [row.sequence for row in found] == list(range(1, 17))
    assert {row.data["payment_id"] for row in found} == {
        event["data"]["object"]["metadata"]["payment_id"] for event in events
    }


def test_a_sequence_that_a_restore_turned_back_refuses_no_settlement(
    books: Books, store: Losing
) -> None:
    """The balance is older than the events: both events are kept, and the purchase is credited."""
    _settle(books, builders.completed(pending(books)))
    store.tables["quotas"]["alice", "quota"].pop("told")
    assert _settle(books, builders.completed(pending(books))) == "settled"
    assert [row.sequence for row in rows(store)] == [1, 1]


def test_every_event_is_as_the_description_says(books: Books, store: Losing) -> None:
    """OpenAPI's ``webhooks`` are what receivers validate by; every type that is told is in them."""
    books = builders.books_on(store, telling=Telling(is_on=True, low_at=50))
    one, two = pending(books), pending(books)
    for event in (
        builders.declined(one),
        builders.completed(one),
        builders.refunded(one, one.amount_minor * 6 // 10),
        builders.completed(two),
        builders.dispute(two, "created", "needs_response", -999),
        builders.refunded(one, one.amount_minor),
    ):
        _settle(books, event)
    described = document()
    types = [row.type for row in rows(store)]
    assert set(types) == {
        *("payment.failed", "payment.completed", "payment.refunded", "payment.disputed"),
        *("quota.low", "quota.recovered", "quota.depleted"),
    }
    for row in rows(store):
        operation = described["webhooks"][row.type]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        whole = {**schema, "components": described["components"]}
        Draft202012Validator(whole, validate_formats=True).validate(row.body())


def test_every_type_of_the_contract_is_described() -> None:
    assert set(document()["webhooks"]) == {*get_args(NoticeType), PING}
