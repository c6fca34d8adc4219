"""Grants and voids that meet at the worst moment, and rows that a restore took away."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.errors import BillingError, ConditionFailedError, NotDoneError, OutcomeUnknownError
from billing.grants import api
from billing.grants.booking import book
from billing.grants.grant import Grant, GrantError
from billing.holds import closing, placing
from billing.settings import Telling
from billing.spending import debits
from billing.spending.meter import Meter
from billing.storage.writes import Table
from support import builders
from support.fakes.memory_store import Meddled, MemoryStore
from support.quotas import balance, refused

NOW: Final = 1_767_323_045
GRANT: Final = Grant("T-1", "alice", 8, "sorry")
GIVEN: Final = {"grant_id": "T-1", "units": 8, "expires_at": None, "remaining": 8, "debt": 0}


@pytest.fixture
def store() -> Meddled:
    """Empty."""
    return Meddled()


@pytest.fixture(params=[True, False], ids=["events", "no events"])
def books(request: pytest.FixtureRequest, store: Meddled) -> Books:
    """Empty books, where events go out and where none do."""
    return builders.books_on(store, telling=Telling(is_on=request.param, low_at=3))


def _spend(books: Books, units: int) -> None:
    debits.debit(Meter(books, ""), "alice", units)


def test_a_repeat_in_the_same_moment_gets_the_first_answer(books: Books, store: Meddled) -> None:
    """The customer has the units once."""
    store.first = lambda: api.give(books, GRANT)
    assert api.give(books, GRANT) == GIVEN
    assert api.give(books, GRANT) == GIVEN
    assert balance(books).remaining == 8


@pytest.mark.parametrize(
    "other",
    [{"units": 9}, {"reason": "why"}, {"user_id": "bob"}, {"expires_at": NOW + 60}],
    ids=str,
)
def test_another_grant_under_one_key_in_the_same_moment_is_a_conflict(
    books: Books, store: Meddled, other: dict[str, Any]
) -> None:
    """And later too; only one of them is booked."""
    store.first = lambda: api.give(books, GRANT)
    for _ in range(2):
        assert refused(lambda: api.give(books, replace(GRANT, **other))) == "idempotency_conflict"
    assert balance(books).remaining == 8
    assert debits.read(books, "bob").total == 0


@pytest.mark.parametrize("wrong", [{"units": 0}, {"reason": " "}, {"expires_at": NOW}], ids=str)
def test_a_grant_that_makes_no_sense_is_an_invalid_request_that_says_what_to_do(
    books: Books, store: Meddled, wrong: dict[str, Any]
) -> None:
    with pytest.raises(BillingError) as found:
        api.give(books, replace(GRANT, **wrong))
    assert (found.value.code, found.value.status) == ("invalid_request", 400)
    assert "; give" in found.value.detail or "; --reason" in found.value.detail
    assert store.tables["quotas"] == store.tables["ledger"] == {}


def test_trouble_of_the_tables_is_not_taken_for_a_mistake_of_the_caller(
    books: Books, store: Meddled
) -> None:
    """It may be repeated under its key."""

    def fails() -> None:
        raise NotDoneError("throttled")

    store.first = fails
    with pytest.raises(NotDoneError):
        api.give(books, GRANT)
    assert api.give(books, GRANT) == GIVEN


def test_trouble_of_the_tables_ends_a_void_at_once(books: Books, store: Meddled) -> None:
    """It is told, and not tried until the deadline."""
    book(books, GRANT)

    def fails() -> None:
        raise NotDoneError("throttled")

    store.first = fails
    with pytest.raises(NotDoneError, match="throttled"):
        api.void(books, "T-1")
    assert api.void(books, "T-1") == {"units": 8}


def test_a_repeat_is_answered_after_the_units_have_expired(books: Books) -> None:
    """Their time was in the future once."""
    expiring = replace(GRANT, expires_at=NOW + 60)
    first = api.give(books, expiring)
    books.clock.advance(seconds=61)  # type: ignore[attr-defined]
    assert api.give(books, expiring) == first
    assert balance(books).remaining == 0


def test_a_grant_costs_four_calls_and_a_repeat_one() -> None:
    """Two reads of the account beside the look for a repeat, and one transaction."""
    store = MemoryStore()
    books = builders.books_on(store)
    costs = []
    for _ in range(2):
        before = store.calls
        api.give(books, GRANT)
        costs.append(store.calls - before)
    assert costs == [4, 1]


def test_a_grant_whose_row_was_lost_gives_nothing_twice(books: Books, store: Meddled) -> None:
    """The ledger still has it: the same key is not taken for a new grant."""
    api.give(books, GRANT)
    del store.tables["quotas"]["grant#T-1", "grant"]
    assert refused(lambda: api.give(books, GRANT)) == "idempotency_conflict"
    assert debits.read(books, "alice").remaining == 8


def test_a_grant_whose_entry_was_lost_is_an_operators(books: Books, store: Meddled) -> None:
    """The row says that it was given: it is not given again, and not called done."""
    book(books, GRANT)
    store.tables["ledger"].clear()
    with pytest.raises(OutcomeUnknownError, match="T-1 was booked, and its entry is lost"):
        book(books, GRANT)
    with pytest.raises(GrantError, match="used before for another grant") as found:
        book(books, replace(GRANT, units=9))
    assert (found.value.kind, found.value.remedy) == (
        "conflict",
        "give another --id for another grant",
    )
    assert debits.read(books, "alice").remaining == 8


def test_a_grant_is_decided_again_as_often_as_the_account_changes(
    books: Books, store: Meddled
) -> None:
    """Three other grants come in between: the answer has what remains after all of them."""
    left = ["T-2", "T-3", "T-4"]

    def concurrent() -> None:
        if left:
            name = left.pop()
            book(books, Grant(name, "alice", 1, "why"))
            store.first = concurrent

    store.first = concurrent
    assert book(books, GRANT)["remaining"] == 11
    assert balance(books).remaining == 11
    assert api.give(books, GRANT)["remaining"] == 11


@pytest.mark.parametrize(
    "act",
    [lambda books: book(books, GRANT), lambda books: api.void(books, "T-9")],
    ids=["give", "void"],
)
def test_what_never_comes_through_is_unknown(act: Callable[[Books], object]) -> None:
    """It ends with the deadline."""
    books = builders.books_on(MemoryStore())
    book(books, Grant("T-9", "bob", 1, "why"))
    books.store.commit = lambda *_: _refuse_for_the_account()  # type: ignore[method-assign]
    with pytest.raises(OutcomeUnknownError):
        act(books)


def _refuse_for_the_account() -> None:
    raise ConditionFailedError({2: None})


def test_units_that_expire_in_the_very_second_are_not_taken_as_if_they_were_there(
    store: Meddled,
) -> None:
    """They came in by a container whose clock is behind: ten that stay, and five that are gone."""
    books = builders.books_on(store)
    book(books, Grant("T-1", "alice", 10, "why"))
    behind = builders.Clock()
    behind.advance(seconds=-10)
    expiring = Grant("T-2", "alice", 5, "why", NOW)
    store.first = lambda: book(replace(books, clock=behind), expiring)
    assert book(books, Grant("T-3", "alice", -8, "too much"))["remaining"] == 2
    assert balance(books).remaining == 2


def test_a_void_takes_what_a_debit_of_the_same_moment_has_left(
    books: Books, store: Meddled
) -> None:
    """Never below zero."""
    book(books, GRANT)
    store.first = lambda: _spend(books, 5)
    assert api.void(books, "T-1") == {"units": 3}
    assert balance(books).remaining == 0


def test_a_void_takes_all_that_a_debit_of_the_same_moment_leaves(
    books: Books, store: Meddled
) -> None:
    """Other units pay the debit where they burn first."""
    book(books, GRANT)
    book(books, Grant("T-2", "alice", 5, "why", NOW + 60))
    store.first = lambda: _spend(books, 5)
    assert api.void(books, "T-1") == {"units": 8}
    assert balance(books).remaining == 0


def test_two_voids_of_the_same_moment_take_once(books: Books, store: Meddled) -> None:
    book(books, GRANT)
    book(books, Grant("T-2", "alice", 5, "why"))
    store.first = lambda: api.void(books, "T-1")
    assert api.void(books, "T-1") == {"units": 8}
    assert balance(books).remaining == 5


class Interrupted(MemoryStore):
    """One concurrent act just after a grant's row was read."""

    act: Callable[[], object] | None = None

    def get(self, table: Table, key: tuple[str, str]) -> Any:
        """Read it, then do the act, once."""
        found = super().get(table, key)
        if key[1] == "grant" and (act := self.act) is not None:
            self.act = None
            act()
        return found


def test_a_void_that_comes_second_answers_what_the_first_one_took() -> None:
    """It read the grant before, and the lots after the first one was written."""
    store = Interrupted()
    books = builders.books_on(store)
    book(books, GRANT)
    store.act = lambda: api.void(books, "T-1")
    assert api.void(books, "T-1") == {"units": 8}
    assert api.void(books, "T-1") == {"units": 8}
    assert balance(books).remaining == 0


def test_two_voids_of_a_grant_that_is_used_up_are_one(books: Books, store: Meddled) -> None:
    """The first of them counts, also after the account has units again."""
    book(books, GRANT)
    _spend(books, 8)

    def concurrent() -> None:
        api.void(books, "T-1")
        book(books, Grant("T-2", "alice", 5, "why"))

    store.first = concurrent
    assert api.void(books, "T-1") == {"units": 0}
    assert balance(books).remaining == 5


def test_a_void_is_decided_again_as_often_as_the_account_changes(
    books: Books, store: Meddled
) -> None:
    book(books, GRANT)
    left = ["T-2", "T-3", "T-4"]

    def concurrent() -> None:
        if left:
            name = left.pop()
            book(books, Grant(name, "alice", 1, "why"))
            store.first = concurrent

    store.first = concurrent
    assert api.void(books, "T-1") == {"units": 8}
    assert balance(books).remaining == 3


def test_a_grant_that_a_restore_takes_away_while_it_is_voided_is_not_there(
    books: Books, store: Meddled
) -> None:
    """No row comes back that says no more than that it was voided."""
    book(books, GRANT)
    rows = store.tables["quotas"]
    store.first = lambda: rows.pop(("grant#T-1", "grant"))
    assert refused(lambda: api.void(books, "T-1")) == "not_found"
    assert ("grant#T-1", "grant") not in rows
    assert debits.read(books, "alice").remaining == 8


def test_what_an_operator_took_is_no_grant_to_be_voided(books: Books) -> None:
    """Not even a single unit; and what was given is, however little."""
    book(books, GRANT)
    book(books, Grant("T-2", "alice", -1, "too much"))
    assert refused(lambda: api.void(books, "T-2")) == "not_found"
    assert refused(lambda: api.void(books, "T-3")) == "not_found"
    book(books, Grant("T-4", "alice", 1, "why"))
    assert api.void(books, "T-4") == {"units": 1}


def test_the_last_of_many_lots_is_voided_and_no_other(books: Books) -> None:
    """More lots than are read at first."""
    for number in range(12):
        expires_at = NOW + 86_400 * (number + 1)
        book(books, Grant(f"T-{number}", "alice", 10 + number, "why", expires_at))
    assert api.void(books, "T-11") == {"units": 21}
    assert api.void(books, "T-5") == {"units": 15}
    assert balance(books).remaining == sum(range(10, 22)) - 36


def test_what_a_hold_has_of_a_voided_grant_is_taken_when_it_comes_back(books: Books) -> None:
    book(books, GRANT)
    meter = Meter(books, "")
    held = placing.place(meter, "alice", 6, 60)
    assert api.void(books, "T-1") == {"units": 2}
    closing.release(meter, held.hold_id)
    assert balance(books).remaining == 0
