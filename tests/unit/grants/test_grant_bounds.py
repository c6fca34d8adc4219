"""What a grant may be, to the last value, and what is answered, to the last member."""

from typing import Any, Final

import pytest
from billing.grants.booking import book, find_booked
from billing.grants.grant import Grant, GrantError
from support import builders
from support.fakes.memory_store import MemoryStore

GOOD: Final[dict[str, Any]] = {"grant_id": "T-1", "user_id": "alice", "units": 5, "reason": "why"}
ALLOWED: Final[list[tuple[str, Any]]] = [
    ("units", 1),
    ("units", -1),
    ("units", 10**9),
    ("units", -(10**9)),
    ("reason", "x"),
    ("reason", "x" * 500),
    ("grant_id", "x"),
    ("grant_id", "x" * 100),
    ("user_id", "x"),
    ("user_id", "x" * 255),
]
REFUSED: Final[list[tuple[str, Any, str]]] = [
    ("units", 0, "cannot be granted"),
    ("units", 10**9 + 1, "cannot be granted"),
    ("units", -(10**9) - 1, "cannot be granted"),
    ("reason", "", "needs a reason"),
    ("reason", "  ", "needs a reason"),
    ("reason", "x" * 501, "needs a reason"),
    ("grant_id", "", "is no id"),
    ("grant_id", "x" * 101, "is no id"),
    ("grant_id", "a\nb", "is no id"),
    ("user_id", "", "is no user id"),
    ("user_id", "x" * 256, "is no user id"),
]


@pytest.mark.parametrize(("name", "value"), ALLOWED)
def test_the_last_allowed_grant_is_allowed(name: str, value: Any) -> None:
    """Limits belong to what they limit."""
    Grant(**{**GOOD, name: value}).check(builders.START)


@pytest.mark.parametrize(("name", "value", "why"), REFUSED)
def test_a_grant_beyond_a_bound_is_refused_and_says_what_to_do(
    name: str, value: Any, why: str
) -> None:
    """Before anything is read."""
    with pytest.raises(GrantError, match=why) as refused:
        Grant(**{**GOOD, name: value}).check(builders.START)
    assert refused.value.kind == "invalid"
    assert refused.value.remedy


def test_a_grant_is_answered_whole_each_time() -> None:
    """When it is booked, when it is repeated, and when it is looked for."""
    books, grant = builders.books_on(MemoryStore()), Grant(**GOOD)
    same = {"grant_id": "T-1", "user_id": "alice", "units": 5}
    assert find_booked(books, grant) is None
    assert book(books, grant) == {"status": "granted", **same, "remaining": 5, "debt": 0}
    again = book(books, grant)
    assert again == {"status": "already", **same, "booked_at": again["booked_at"]}
    assert find_booked(books, grant) == again
    (entry,) = books.store.query("ledger", "alice").items
    account = books.store.get("quotas", ("alice", "quota")) or {}
    assert entry["booked_at"] == again["booked_at"] == account["booked_at"]
    assert account["updated_at"] == account["booked_at"]


@pytest.mark.parametrize(("units", "remaining"), [(-4, 1), (-5, 0), (-6, None)])
def test_no_more_is_taken_than_remains(units: int, remaining: int | None) -> None:
    """A refusal names both figures, and writes nothing."""
    books = builders.books_on(MemoryStore())
    book(books, Grant(**GOOD))
    taking = Grant("T-2", "alice", units, "why")
    if remaining is not None:
        assert book(books, taking)["remaining"] == remaining
        return
    with pytest.raises(GrantError, match="alice has 5 units, 6 cannot be taken") as refused:
        book(books, taking)
    assert refused.value.kind == "not_enough"
    assert find_booked(books, taking) is None
