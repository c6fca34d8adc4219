"""Welcomes that are claimed twice at once, and who is welcomed at all."""

from dataclasses import replace
from functools import partial
from typing import Any, Final

import pytest
from billing.books import Books
from billing.errors import BillingError
from billing.grants import welcome
from billing.grants.grant import GrantError
from billing.payments.plan import Welcome
from billing.settings import Telling
from billing.storage.writes import Write
from support import builders
from support.fakes.memory_store import Meddled, MemoryStore
from support.quotas import balance, refused

FREE: Final = Welcome(3, needs_verified_email=False, daily_max=1)


@pytest.fixture
def store() -> Meddled:
    """Empty."""
    return Meddled()


@pytest.fixture(params=[True, False], ids=["events", "no events"])
def books(request: pytest.FixtureRequest, store: Meddled) -> Books:
    """Empty books, where events go out and where none do."""
    return builders.books_on(store, telling=Telling(is_on=request.param, low_at=3))


def test_a_welcome_that_is_asked_for_twice_at_once_is_given_once(
    books: Books, store: Meddled
) -> None:
    """It is counted once: another customer is told that the day is full only by daily_max."""
    two = Welcome(3, needs_verified_email=False, daily_max=2)
    store.first = lambda: welcome.claim(books, "alice", two, {})
    given = welcome.claim(books, "alice", two, {})
    assert (given.is_new, given.answer["units"], given.answer["remaining"]) == (False, 3, 3)
    assert balance(books).remaining == 3
    assert welcome.claim(books, "bob", two, {}).is_new
    assert refused(lambda: welcome.claim(books, "carol", two, {})) == "welcome_closed_today"


def test_a_welcome_with_another_expiry_in_the_same_moment_is_the_first_one(
    books: Books, store: Meddled
) -> None:
    """A second lies between two requests of one customer."""
    two = Welcome(3, needs_verified_email=False, daily_max=2, expires_after_days=1)

    def concurrent() -> None:
        books.clock.advance(seconds=5)  # type: ignore[attr-defined]
        welcome.claim(books, "alice", two, {})

    store.first = concurrent
    given = welcome.claim(books, "alice", two, {})
    assert (given.is_new, given.answer["expires_at"]) == (False, "2026-01-03T03:04:11.000000Z")
    assert balance(books).remaining == 3


def test_a_welcome_of_another_size_in_the_same_moment_is_the_first_one(
    books: Books, store: Meddled
) -> None:
    """The catalogue is being changed: one container has the old one."""
    two = Welcome(3, needs_verified_email=False, daily_max=2)
    store.first = lambda: welcome.claim(books, "alice", two, {})
    given = welcome.claim(books, "alice", replace(two, units=4), {})
    assert (given.is_new, given.answer["units"]) == (False, 3)
    assert balance(books).remaining == 3


def test_the_last_welcome_of_the_day_goes_to_one_of_two(books: Books, store: Meddled) -> None:
    """The other is told so, and nothing of his is written."""
    store.first = lambda: welcome.claim(books, "bob", FREE, {})
    with pytest.raises(BillingError) as found:
        welcome.claim(books, "alice", FREE, {})
    assert (found.value.code, found.value.status) == ("welcome_closed_today", 429)
    owners = {owner for owner, _ in store.tables["quotas"]}
    assert owners == {"bob", "welcome#2026-01-02"}
    assert store.tables["quotas"]["welcome#2026-01-02", "given"]["given"] == 1
    assert not welcome.claim(books, "bob", FREE, {}).is_new


def test_a_welcome_whose_id_an_older_grant_has_is_an_operators(
    books: Books, store: Meddled
) -> None:
    """Its entry stands in the ledger, and no row says that it was given."""
    entry = {"units": 9, "note": "why", "booked_at": "2026-01-02T03:04:05.000000Z"}
    store.commit(Write("ledger", ("alice", "welcome"), set=entry))
    with pytest.raises(GrantError) as found:
        welcome.claim(books, "alice", FREE, {})
    assert found.value.kind == "conflict"


@pytest.mark.parametrize(
    ("claims", "is_welcome"),
    [
        ({"email_verified": True}, True),
        ({"email_verified": "true"}, True),
        ({"email_verified": "True"}, False),
        ({"email_verified": "false"}, False),
        ({"email_verified": False}, False),
        ({"email_verified": ""}, False),
        ({"email_verified": None}, False),
        ({}, False),
    ],
    ids=str,
)
@pytest.mark.parametrize("needs", [True, False])
def test_an_e_mail_needs_to_be_verified_only_where_the_catalogue_says_so(
    claims: dict[str, Any], *, is_welcome: bool, needs: bool
) -> None:
    """By the token's claim, as a truth or as API Gateway's text."""
    books = builders.books_on(MemoryStore())
    free = Welcome(3, needs_verified_email=needs, daily_max=1)
    claim = partial(welcome.claim, books, "alice", free, claims)
    if needs and not is_welcome:
        with pytest.raises(BillingError) as found:
            claim()
        assert (found.value.code, found.value.status) == ("email_not_verified", 403)
        return
    assert claim().is_new


def test_who_was_welcomed_is_answered_so_without_a_verified_e_mail_and_on_a_full_day(
    books: Books,
) -> None:
    """Where there is no welcome any more, it is not found."""
    free = Welcome(3, needs_verified_email=True, daily_max=1)
    first = welcome.claim(books, "alice", free, {"email_verified": True})
    again = welcome.claim(books, "alice", free, {})
    assert (again.is_new, again.answer) == (False, first.answer)
    with pytest.raises(BillingError) as found:
        welcome.claim(books, "alice", None, {})
    assert (found.value.code, found.value.status) == ("not_found", 404)
