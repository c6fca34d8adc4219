import random
from dataclasses import replace
from typing import Any

import pytest
from billing.audit.readings import TABLES, disagreeing_payments, settled_tally
from billing.audit.tallies import Tallies
from billing.audit.tally import Difference, Tally
from billing.books import Books
from billing.holds import placing
from billing.payments.payment import Payment
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.reader import PAGE_MAX
from support import builders
from support.fakes.memory_store import MemoryStore

from infra.cli.books.verification import examine, judged, read_all
from infra.cli.tallies import tally_file


def _nobody_watches(steps: int = 1, *, now: str = "") -> None:
    del steps, now


@pytest.fixture
def books() -> Books:
    """Books on which alice bought, had a part refunded, spent and holds; and bob bought."""
    books = builders.books_on(MemoryStore())
    paid = builders.pending(books, "alice", "pro")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    settlement.apply(books, builders.fact(builders.refunded(paid, 1000)))
    other = builders.pending(books, "bob")
    settlement.apply(books, builders.fact(builders.completed(other)))
    meter = Meter(books, "https://example.test")
    debits.debit(meter, "alice", 30)
    placing.place(meter, "alice", 20, 600)
    return books


def _rows(books: Books) -> dict[str, dict[tuple[str, str], dict[str, Any]]]:
    return books.store.tables  # type: ignore[attr-defined, no-any-return]


def _rules(books: Books, segments: int = 3) -> set[tuple[str, str]]:
    found = examine(books, segments, _nobody_watches)
    assert not found.busy
    return {(row["user_id"], row["rule"].split()[0]) for row in found.findings}


def test_untouched_books_balance(books: Books) -> None:
    """Purchase, refund, use and a hold agree in all three tables."""
    assert _rules(books) == set()


@pytest.mark.parametrize("segments", [1, 2, 7])
def test_the_number_of_readers_changes_nothing(books: Books, segments: int) -> None:
    """An account's rows may be read by different readers."""
    with tally_file() as whole:
        read_all(books, segments, _nobody_watches, whole)
        assert {user: tally.booked for user, tally in whole.items()} == {"alice": 800, "bob": 100}
        assert (whole.accounts, whole.units) == (2, 900)


def test_a_lost_way_from_a_payment_intent_is_found(books: Books) -> None:
    """Without it a refund has no owner."""
    rows = _rows(books)["payments"]
    del rows[next(key for key in rows if key[0].startswith("ref#pi_"))]
    assert _rules(books) == {("alice", "every")}


def test_a_lost_ledger_entry_is_found_and_its_payment_named(books: Books) -> None:
    """As after a restore that kept half a transaction."""
    key = next(key for key in _rows(books)["ledger"] if key[1].startswith("reversal:"))
    del _rows(books)["ledger"][key]
    assert ("alice", "the") in _rules(books)
    assert ("alice", "payments") in _rules(books)
    assert list(disagreeing_payments(books.store, "alice")) == [key[1].split(":")[1]]
    assert not list(disagreeing_payments(books.store, "bob"))


def test_a_balance_that_was_written_by_hand_is_found(books: Books) -> None:
    """Units from nowhere break the balance's own rule."""
    _rows(books)["quotas"]["bob", "quota"]["remaining"] += 1
    assert _rules(books) == {("bob", "remaining")}


def test_a_second_credit_of_one_session_is_found(books: Books) -> None:
    """Ledger and balance agree with each other, the payment does not."""
    _rows(books)["quotas"]["bob", "quota"]["remaining"] += 100
    _rows(books)["quotas"]["bob", "quota"]["total"] += 100
    entry = next(item for key, item in _rows(books)["ledger"].items() if key[0] == "bob")
    _rows(books)["ledger"]["bob", "funded:again"] = {**entry, "entry_id": "funded:again"}
    assert _rules(books) == {("bob", "every"), ("bob", "paid")}


def test_a_hold_that_vanished_is_found(books: Books) -> None:
    """The balance holds units that no open hold holds."""
    for key in [key for key in _rows(books)["quotas"] if key[1].startswith("hold#")]:
        del _rows(books)["quotas"][key]
    assert _rules(books) == {("alice", "held")}


def test_an_account_without_its_balance_is_found(books: Books) -> None:
    """Only its ledger shows it."""
    del _rows(books)["quotas"]["bob", "quota"]
    assert {("bob", "the"), ("bob", "an")} <= _rules(books)


def test_a_write_off_balances_and_is_missed_when_its_entry_is_lost() -> None:
    """Units given up are an entry of their own."""
    books = builders.books_on(MemoryStore(), policy="write_off")
    paid = builders.pending(books, "carol")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    debits.debit(Meter(books, ""), "carol", 60)
    settlement.apply(books, builders.fact(builders.refunded(paid, 999)))
    assert _rules(books) == set()
    del _rows(books)["ledger"][
        next(key for key in _rows(books)["ledger"] if key[1].startswith("adjusted:"))
    ]
    assert ("carol", "payments") in _rules(books)


def test_a_torn_scan_is_only_a_suspicion(books: Books) -> None:
    """What changed between two tables of the scan is looked at again before it is reported."""
    with tally_file() as tallies:
        read_all(books, 2, _nobody_watches, tallies)
        tallies.take(Tallies(bob=Tally(booked=-100)))
        assert list(tallies.suspects()) == ["bob"]
        assert judged(books, tallies, _nobody_watches) == ([], [])


def test_verifying_writes_nothing(books: Books) -> None:
    _rows(books)["quotas"]["bob", "quota"]["remaining"] += 1
    before = repr(_rows(books))
    assert _rules(books)
    assert repr(_rows(books)) == before


class _Restless(MemoryStore):
    """A store with a concurrent purchase between any two calls."""

    def query(self, *given: Any, **named: Any) -> Any:
        self.tables["quotas"]["bob", "quota"]["total"] += 1
        return super().query(*given, **named)


def test_an_account_that_never_holds_still_is_named_not_judged(books: Books) -> None:
    """Neither right nor wrong: the operator runs it again."""
    restless = _Restless()
    restless.tables = _rows(books)
    assert settled_tally(restless, "bob") is None  # type: ignore[arg-type]
    moving = replace(books, store=restless)  # type: ignore[arg-type]
    with tally_file() as tallies:
        read_all(books, 1, _nobody_watches, tallies)
        tallies.take(Tallies(bob=Tally(booked=1)))
        assert judged(moving, tallies, _nobody_watches) == ([], ["bob"])


def test_reading_the_books_takes_as_much_memory_for_any_number_of_accounts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a reader has counted goes to a file when it is much."""
    monkeypatch.setattr("infra.cli.books.verification.ACCOUNTS_IN_MEMORY_MAX", 100)
    books = builders.books_on(MemoryStore())
    largest = 0

    class Watched(Tallies):
        def add(self, *row: Any) -> None:
            nonlocal largest
            super().add(*row)
            largest = max(largest, len(self))

    monkeypatch.setattr("infra.cli.books.verification.Tallies", Watched)
    for number in range(1000):
        books.store.commit(builders.balance(f"user-{number}", 1))
    found = examine(books, 2, _nobody_watches)
    assert (found.accounts, len({row["user_id"] for row in found.findings})) == (1000, 1000)
    assert 100 < largest <= 100 + PAGE_MAX


def test_tallies_add_up_in_any_order_and_any_split() -> None:
    """Merging readers' tallies is what one reader would have counted."""
    books = builders.books_on(MemoryStore())
    for number in range(20):
        payment: Payment = builders.pending(books, f"user-{number % 4}")
        settlement.apply(books, builders.fact(builders.completed(payment)))
    rows = [(table, item) for table in TABLES for item in _rows(books)[table].values()]
    whole, parts, chance = Tallies(), [Tallies() for _ in range(3)], random.Random(7)
    for table, item in rows:
        whole.add(table, item)
    chance.shuffle(rows)
    for table, item in rows:
        chance.choice(parts).add(table, item)
    with tally_file() as merged:
        for part in parts:
            merged.take(part)
        assert dict(merged.items()) == whole
        assert not list(merged.suspects())


def test_a_difference_names_account_rule_and_figures() -> None:
    assert Difference("bob", "a rule", 1, 2).as_answer() == {
        "user_id": "bob",
        "rule": "a rule",
        "expected": 1,
        "found": 2,
    }


def test_rows_that_move_no_units_are_passed_over() -> None:
    """Replayed answers, closed holds, pending payments and session links."""
    tallies = Tallies()
    tallies.add("quotas", {"user_id": "debit#x", "item": "debit", "answer": {}})
    tallies.add("quotas", {"user_id": "bob", "item": "closed#1", "units": 5})
    tallies.add("payments", {"owner": "user#bob", "id": "cs_1", "payment_id": "pay_1"})
    tallies.add(
        "payments", {"owner": "user#bob", "id": "pay_1", "user_id": "bob", "phase": 0, "quota": 100}
    )
    assert not tallies
