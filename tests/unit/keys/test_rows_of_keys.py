"""What is stored of a key, row by row, at each step of its life.

Another version of the functions reads these rows while a new one is deployed.
"""

from types import SimpleNamespace
from typing import Any, Final

import pytest
from billing.books import Books
from billing.keys import api_keys, changes, revocation
from billing.keys.api_keys import NewKey
from billing.keys.figures import Key
from billing.keys.limits import Limit
from support import builders
from support.builders import START
from support.fakes.memory_store import MemoryStore

FIRST, SECOND, THIRD = (digit * 24 for digit in "123")
SECRET: Final = "s" * 43
HASH: Final = "d64b93c9f1b60eb338e5cb415d6a36bd920edd0e9b36f7ea5c730d0e10ff147f"
"""SHA-256 of the secret."""
NOW: Final = "2026-01-02T03:04:05.000000Z"
NO_LIMIT: Final = 1_000_000_000_000
TEN_A_MONTH: Final = Limit(10, "month")


@pytest.fixture
def store() -> MemoryStore:
    """An empty one."""
    return MemoryStore()


@pytest.fixture
def books(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Books:
    """The clock stands still, and keys are numbered 111..., 222..., 333..."""
    numbers = iter([FIRST, SECOND, THIRD])
    drawn = SimpleNamespace(token_hex=lambda _: next(numbers), token_urlsafe=lambda _: SECRET)
    monkeypatch.setattr(api_keys, "secrets", drawn)
    return builders.books_on(store, clock=lambda: START)  # type: ignore[arg-type] # stands still


def _rows(store: MemoryStore, table: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The rows without their keys."""
    names = {"keys": ("owner", "id"), "quotas": ("user_id", "item")}[table]
    found = {}
    for key, row in store.tables[table].items():
        assert tuple(row[name] for name in names) == key
        found[key] = {name: value for name, value in row.items() if name not in names}
    return found


def test_a_new_key_is_six_rows(books: Books, store: MemoryStore) -> None:
    """The row that the key is found by has its name and its limit, too: a call costs one read."""
    made = api_keys.create(books, "alice", "dev", "laptop", TEN_A_MONTH)
    assert made == NewKey(
        key_id=f"key_{FIRST}",
        name="laptop",
        created_at=NOW,
        limit=TEN_A_MONTH,
        limit_remaining=10,
        resets_at="2026-02-01T00:00:00.000000Z",
        used_today=0,
        used_this_month=0,
        used_total=0,
        key=f"tk_dev_{FIRST}_{SECRET}",
    )
    limit = {"units": 10, "per": "month"}
    shown = {"name": "laptop", "created_at": NOW, "limit": limit}
    assert _rows(store, "keys") == {
        ("user#alice", f"key_{FIRST}"): shown,
        (f"key#{FIRST}", "key"): {**shown, "hash": HASH, "user_id": "alice"},
        ("user#alice", "count"): {"live": 1, "changes": 1},
        ("user#alice", "name#WTEj"): {"key_id": f"key_{FIRST}"},
    }
    assert _rows(store, "quotas") == {
        ("alice", "quota"): {"uWTEj": 0, "rWTEj": 10, "keys_changed": 1},
        ("alice", "uses"): {"kWTEj": {"key_id": f"key_{FIRST}", "per": "month"}, "version": 1},
    }


def test_a_new_key_without_a_limit_names_none(books: Books, store: MemoryStore) -> None:
    """Its counter has as much left as no key uses in a day."""
    made = api_keys.create(books, "alice", "dev", "laptop")
    assert (made.limit, made.limit_remaining, made.resets_at) == (None, None, None)
    rows = _rows(store, "keys")
    assert rows["user#alice", f"key_{FIRST}"] == {"name": "laptop", "created_at": NOW}
    assert _rows(store, "quotas") == {
        ("alice", "quota"): {"uWTEj": 0, "rWTEj": NO_LIMIT, "keys_changed": 1},
        ("alice", "uses"): {"kWTEj": {"key_id": f"key_{FIRST}"}, "version": 1},
    }


def test_a_change_is_in_both_rows_and_only_of_its_key(books: Books, store: MemoryStore) -> None:
    """A name that is not given stays, and so does a limit."""
    for name in ("laptop", "server", "phone"):
        api_keys.create(books, "alice", "dev", name, TEN_A_MONTH)
    before = _rows(store, "keys")
    changed = changes.change(
        books, "alice", f"key_{SECOND}", {"name": "new", "limit": Limit(5, "day")}
    )
    assert changed == Key(
        key_id=f"key_{SECOND}",
        name="new",
        created_at=NOW,
        limit=Limit(5, "day"),
        limit_remaining=5,
        resets_at="2026-01-03T00:00:00.000000Z",
        used_today=0,
        used_this_month=0,
        used_total=0,
    )
    places = (("user#alice", f"key_{SECOND}"), (f"key#{SECOND}", "key"))
    expected = {
        place: {**before[place], "name": "new", "limit": {"units": 5, "per": "day"}}
        for place in places
    }
    assert _rows(store, "keys") == {**before, **expected}
    account = _rows(store, "quotas")["alice", "quota"]
    assert account == {
        "uWTEj": 0,
        "rWTEj": 10,
        "u-lpp": 0,
        "r-lpp": 5,
        "ubJqv": 0,
        "rbJqv": 10,
        "keys_changed": 4,
    }
    changes.change(books, "alice", f"key_{SECOND}", {"name": "newer"})
    for place in places:
        assert _rows(store, "keys")[place] == {**expected[place], "name": "newer"}
    changes.change(books, "alice", f"key_{SECOND}", {"limit": None})
    for place in places:
        found = _rows(store, "keys")[place]
        assert ("limit" in found, found["name"]) == (False, "newer")
    assert _rows(store, "quotas")["alice", "quota"]["r-lpp"] == NO_LIMIT
    assert _rows(store, "quotas")["alice", "uses"]["k-lpp"] == {"key_id": f"key_{SECOND}"}


def test_a_revoked_key_leaves_its_name_and_what_it_used(books: Books, store: MemoryStore) -> None:
    """Every other row of it goes; the count of live keys is one less."""
    for name in ("laptop", "server", "phone"):
        api_keys.create(books, "alice", "dev", name)
    revocation.revoke(books, "alice", f"key_{SECOND}")
    assert set(_rows(store, "keys")) == {
        *((f"key#{number}", "key") for number in (FIRST, THIRD)),
        *(("user#alice", f"key_{number}") for number in (FIRST, THIRD)),
        *(("user#alice", f"name#{name}") for name in ("WTEj", "-lpp", "bJqv")),
        ("user#alice", "count"),
    }
    assert _rows(store, "keys")["user#alice", "count"]["live"] == 2
    assert _rows(store, "keys")["user#alice", "name#-lpp"] == {
        "key_id": f"key_{SECOND}",
        "used": 0,
    }
    assert _rows(store, "quotas") == {
        ("alice", "quota"): {
            "uWTEj": 0,
            "rWTEj": NO_LIMIT,
            "ubJqv": 0,
            "rbJqv": NO_LIMIT,
            "keys_changed": 5,
        },
        ("alice", "uses"): {
            "kWTEj": {"key_id": f"key_{FIRST}"},
            "kbJqv": {"key_id": f"key_{THIRD}"},
            "revoked": {},
            "version": 5,
        },
    }


def test_keys_are_listed_oldest_first_and_by_their_id_within_a_moment(
    store: MemoryStore,
) -> None:
    """Whatever order they are stored in."""
    rows = {"key_1": "laptop", "key_2": "server", "key_3": "phone", "key_4": "tablet"}
    moments = {"laptop": "2026-01-03", "server": "2026-01-02", "phone": "2026-01-01"}
    for key_id, name in rows.items():
        created_at = f"{moments.get(name, '2026-01-02')}T00:00:00.000000Z"
        store.tables["keys"]["user#alice", key_id] = {
            "owner": "user#alice",
            "id": key_id,
            "name": name,
            "created_at": created_at,
        }
    listed = api_keys.list_all(builders.books_on(store), "alice")
    assert [key.name for key in listed] == ["phone", "server", "tablet", "laptop"]


def test_a_customer_with_more_keys_than_are_listed_sees_the_rest_as_they_revoke_some(
    store: MemoryStore,
) -> None:
    """Such keys were made before there was a bound of 32. A thousand are listed."""
    books = builders.books_on(store)
    ids = [f"key_{number:024x}" for number in range(1001)]
    for key_id in ids:
        store.tables["keys"]["user#alice", key_id] = {
            "owner": "user#alice",
            "id": key_id,
            "name": "old",
            "created_at": NOW,
        }
    assert [key.key_id for key in api_keys.list_all(books, "alice")] == ids[:-1]
    revocation.revoke(books, "alice", ids[0])
    assert [key.key_id for key in api_keys.list_all(books, "alice")] == ids[1:]


def test_a_customer_without_keys_costs_one_read(store: MemoryStore) -> None:
    assert api_keys.list_all(builders.books_on(store), "alice") == []
    assert store.calls == 1


def test_another_limit_costs_no_look_at_holds(books: Books, store: MemoryStore) -> None:
    """What a limit leaves is moved by the difference, whatever is held of it."""
    made = api_keys.create(books, "alice", "dev", "laptop", TEN_A_MONTH)
    store.calls = 0
    changes.change(books, "alice", made.key_id, {"limit": Limit(7, "day")})
    assert store.calls == 5
