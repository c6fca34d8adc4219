"""The bound on a user's live keys, while many create and revoke at the same time, on real DynamoDB
APIs.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from billing.books import Books
from billing.clock import utc_now
from billing.errors import BillingError
from billing.keys import api_keys, holders, revocation
from billing.storage.keys import user_key
from billing.storage.writes import Write, creates
from properties.crowd import at_once
from support import builders
from support.deadlines import CountedDeadline
from support.dynamo import Dynamo

DATABASES = pytest.mark.parametrize("database", ["dynoxide", "ministack"], indirect=True)


def _books(database: Dynamo) -> Books:
    return replace(builders.books_on(database.store(deadline=CountedDeadline())), clock=utc_now)


def _create(books: Books) -> Callable[[], str]:
    def act() -> str:
        try:
            made = api_keys.create(books, "alice", "dev", "a key")
        except BillingError as refused:
            return refused.code
        return made.key_id

    return act


def _revoke(books: Books, key_id: str) -> Callable[[], str]:
    def act() -> str:
        try:
            revocation.revoke(books, "alice", key_id)
        except BillingError as refused:
            return refused.code
        return "revoked"

    return act


def _live(books: Books) -> list[str]:
    books.store.deadline.begin()
    return [key.key_id for key in api_keys.list_all(books, "alice")]


@DATABASES
def test_sixty_four_concurrent_creates_end_at_32_keys(database: Dynamo) -> None:
    """Every one of the 32 was answered, and every other request was refused."""
    books = _books(database)
    answers = at_once(books.store, [_create(books) for _ in range(64)])
    made = [answer for answer in answers if answer.startswith("key_")]
    assert sorted(made) == sorted(_live(books))
    assert Counter(answer for answer in answers if answer not in made) == {"too_many_keys": 32}


@DATABASES
def test_keys_of_before_the_count_leave_their_places_taken(database: Dynamo) -> None:
    """30 were made without it; of 64 threads, two find a place."""
    books = _books(database)
    for number in range(30):
        _key_of_old(books, number)
    answers = at_once(books.store, [_create(books) for _ in range(64)])
    assert len(_live(books)) == 32
    assert Counter(answers)["too_many_keys"] == 62


@DATABASES
def test_places_that_are_freed_meanwhile_are_neither_lost_nor_given_twice(database: Dynamo) -> None:
    """The keys of old are revoked, each by two requests, while others create."""
    books = _books(database)
    for number in range(20):
        _key_of_old(books, number)
    revoking = [_revoke(books, f"key_{number:024x}") for number in range(20) for _ in range(2)]
    answers = at_once(
        books.store,
        [
            act
            for pair in zip(revoking, [_create(books) for _ in range(40)], strict=True)
            for act in pair
        ],
    )
    told = Counter(answers)
    assert (told["revoked"], told["not_found"]) == (20, 20)
    assert len(_live(books)) <= 32
    books.store.deadline.begin()
    more = [_create(books)() for _ in range(40)]
    assert len(_live(books)) == 32
    assert "too_many_keys" in more


def _key_of_old(books: Books, number: int) -> None:
    """As it was made before: two rows, nothing counted."""
    name = f"{number:024x}"
    books.store.deadline.begin()
    books.store.commit(
        creates(
            "keys",
            (user_key("alice"), f"key_{name}"),
            {"name": "old", "created_at": "2026-01-01T00:00:00Z"},
        ),
        Write("keys", (f"key#{name}", "key"), set={"hash": holders.NO_HASH, "user_id": "alice"}),
    )
