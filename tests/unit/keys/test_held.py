"""What the holder of a key sees of it, by the key alone."""

import hashlib

import pytest
from billing.errors import BillingError
from billing.keys import api_keys, held
from billing.keys.held import HeldKey
from billing.keys.limits import Limit
from support.key_world import TEN_A_DAY, World

SITE = "https://shop.example.com"


@pytest.mark.parametrize(
    ("limit", "left", "resets_at"),
    [
        (None, None, None),
        (TEN_A_DAY, 7, "2026-01-03T00:00:00.000000Z"),
        (Limit(5, "total"), 2, None),
    ],
)
def test_the_holder_sees_what_is_left_of_the_account_and_of_the_limit(
    world: World, limit: Limit | None, left: int | None, resets_at: str | None
) -> None:
    made = api_keys.create(world.books, "alice", "dev", "laptop", limit)
    world.debit(made.key_id, 3)
    assert held.show_held(world.meter, "dev", made.key) == HeldKey(
        made.key_id, "laptop", limit, left, resets_at, 97, SITE
    )
    world.clock.advance(days=1)
    assert held.show_held(world.meter, "dev", made.key).limit_remaining == (
        left if limit is None or limit.per == "total" else 10
    )


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_key_of_before_has_its_name_in_one_row_only(world: World, *, is_listed: bool) -> None:
    """Where that is lost, it has none."""
    number, secret = "0" * 24, "s" * 43
    keys = world.store.tables["keys"]
    hashed = hashlib.sha256(secret.encode()).hexdigest()
    keys[f"key#{number}", "key"] = {
        "owner": f"key#{number}",
        "id": "key",
        "hash": hashed,
        "user_id": "alice",
    }
    if is_listed:
        keys["user#alice", f"key_{number}"] = {
            "owner": "user#alice",
            "id": f"key_{number}",
            "name": "old",
        }
    found = held.show_held(world.meter, "dev", f"tk_dev_{number}_{secret}")
    assert (found.key_id, found.name) == (f"key_{number}", "old" if is_listed else "")
    assert (found.limit, found.remaining) == (None, 100)


@pytest.mark.parametrize("presented", ["", "nonsense", "tk_dev_1_2"])
def test_whoever_holds_no_key_sees_nothing(world: World, presented: str) -> None:
    made = api_keys.create(world.books, "alice", "dev", "laptop")
    for text, stage in ((presented, "dev"), (made.key, "prod"), (made.key[:-1], "dev")):
        with pytest.raises(BillingError, match="unauthorized"):
            held.show_held(world.meter, stage, text)
