import threading
from datetime import timedelta

import pytest
from billing.account import history
from billing.audit.readings import settled_tally
from billing.books import Books
from billing.errors import ConditionFailedError
from billing.grants.booking import book
from billing.grants.grant import Grant, GrantError
from billing.holds import placing
from billing.settlement import settlement
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import MemoryStore


@pytest.fixture
def books() -> Books:
    """Empty books."""
    return builders.books_on(MemoryStore())


def _balances(books: Books, user_id: str) -> bool:
    tally = settled_tally(books.store, user_id)
    return tally is not None and not list(tally.differences(user_id))


def test_a_grant_adds_units_and_one_entry(books: Books) -> None:
    answer = book(books, Grant("T-1", "alice", 50, "sorry for the outage"))
    assert (answer["status"], answer["remaining"]) == ("granted", 50)
    assert debits.read(books, "alice").total == 50
    (entry,) = history.entries(books, "alice", 10, "")["entries"]
    assert (entry["type"], entry["units"], entry["reference_id"]) == ("granted", 50, "T-1")
    assert "note" not in entry, "the reason is for the operator"
    assert _balances(books, "alice")


def test_the_same_id_is_granted_once(books: Books) -> None:
    grant = Grant("T-1", "alice", 50, "why")
    book(books, grant)
    assert book(books, grant)["status"] == "already"
    assert debits.read(books, "alice").remaining == 50


@pytest.mark.parametrize(
    "other", [Grant("T-1", "alice", 51, "why"), Grant("T-1", "alice", 50, "another why")]
)
def test_another_grant_under_a_used_id_is_refused(books: Books, other: Grant) -> None:
    """A typo must not look like success."""
    book(books, Grant("T-1", "alice", 50, "why"))
    with pytest.raises(GrantError, match="used before") as caught:
        book(books, other)
    assert caught.value.kind == "conflict"
    assert debits.read(books, "alice").remaining == 50


def test_debt_is_paid_first(books: Books) -> None:
    paid = builders.pending(books, "alice")
    settlement.apply(books, builders.fact(builders.completed(paid)))
    debits.debit(Meter(books, ""), "alice", 70)
    settlement.apply(books, builders.fact(builders.refunded(paid, 999)))
    assert debits.read(books, "alice").debt == 70
    assert book(books, Grant("T-2", "alice", 100, "why"))["debt"] == 0
    assert debits.read(books, "alice").remaining == 30
    assert _balances(books, "alice")


def test_units_are_taken_back_but_never_below_what_is_there(books: Books) -> None:
    """It causes no debt, and nothing is written."""
    book(books, Grant("T-1", "alice", 50, "why"))
    assert book(books, Grant("T-2", "alice", -20, "too much"))["remaining"] == 30
    with pytest.raises(GrantError, match="has 30 units, 31 cannot"):
        book(books, Grant("T-3", "alice", -31, "more"))
    assert (debits.read(books, "alice").remaining, debits.read(books, "alice").debt) == (30, 0)
    assert _balances(books, "alice")


def test_an_expired_hold_is_there_to_be_taken(books: Books) -> None:
    """It counts as given back from its time on."""
    book(books, Grant("T-1", "alice", 50, "why"))
    placing.place(Meter(books, ""), "alice", 50, 60)
    books.clock.now += timedelta(seconds=61)  # type: ignore[attr-defined]
    assert book(books, Grant("T-2", "alice", -50, "all"))["remaining"] == 0
    assert _balances(books, "alice")


@pytest.mark.parametrize(
    "wrong",
    [
        Grant("T", "alice", 0, "why"),
        Grant("T", "alice", 10**9 + 1, "why"),
        Grant("T", "alice", -(10**9) - 1, "why"),
        Grant("T", "alice", 1, "  "),
        Grant("T", "alice", 1, "x" * 501),
        Grant("", "alice", 1, "why"),
        Grant("T\n", "alice", 1, "why"),
    ],
)
def test_a_grant_that_makes_no_sense_is_a_usage_error(wrong: Grant) -> None:
    """It is found before anything is asked."""
    with pytest.raises(GrantError) as caught:
        wrong.check(builders.START)
    assert caught.value.kind == "invalid"


class _Contested(MemoryStore):
    """A concurrent debit comes just before the first commit of a grant."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 1

    def commit(self, *writes: Write) -> None:
        if self.left and any(
            write.table == "ledger" and write.key[1] == "grant:T-2" for write in writes
        ):
            self.left -= 1
            self.tables["quotas"]["alice", "quota"]["remaining"] -= 10
            self.tables["quotas"]["alice", "quota"]["used"] = 10
        super().commit(*writes)


def test_a_grant_looks_again_when_the_balance_changed_under_it() -> None:
    """It takes what is there then, or says that it is not there any more."""
    books = builders.books_on(_Contested())
    book(books, Grant("T-1", "alice", 50, "why"))
    with pytest.raises(GrantError, match="has 40 units, 45 cannot"):
        book(books, Grant("T-2", "alice", -45, "why"))
    assert debits.read(books, "alice").remaining == 40


def test_concurrent_grants_under_one_id_grant_once(books: Books) -> None:
    lock, commit = threading.Lock(), books.store.commit

    def serial(*writes: Write) -> None:
        with lock:
            commit(*writes)

    books.store.commit = serial  # type: ignore[method-assign]
    answers: list[str] = []

    def operate() -> None:
        try:
            answers.append(book(books, Grant("T-1", "alice", 50, "why"))["status"])
        except ConditionFailedError as error:
            answers.append(repr(error))

    threads = [threading.Thread(target=operate) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == ["already"] * 7 + ["granted"]
    assert debits.read(books, "alice").remaining == 50
