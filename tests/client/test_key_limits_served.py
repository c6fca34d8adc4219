"""A lease and a meter for an API key that has a limit, against the product's own handlers.

They need the service's part of keys: limits in ``POST /keys``, and ``key_id`` in debits and holds.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from client.workers import Crowd, evenly
from support.builders import Clock
from topup_client import (
    AsyncLease,
    AsyncMeter,
    InvalidKey,
    KeyLimitReached,
    Lease,
    Meter,
    QuotaExhausted,
)
from topup_client.keeper import Keeper

DAILY = {"units": 10, "per": "day"}


@pytest.fixture
def limited(gateway: Gateway) -> str:
    """A key of alice, who has a hundred units: ten a day may be used with it."""
    gateway.fund("alice", 100)
    return gateway.key("alice", DAILY)


@pytest.fixture
def lease(backend: Meter, seconds: Seconds, limited: str) -> Iterator[Lease]:
    """For that key."""
    with Lease(backend, "alice", limited, keeper=Keeper(0, seconds), clock=seconds) as made:
        yield made


def _figures(gateway: Gateway) -> dict[str, Any]:
    (key,) = gateway.keys("alice")
    names = ("used_today", "used_total", "limit_remaining")
    return {name: key[name] for name in names}


def test_a_meter_is_refused_at_the_limit_and_not_below_it(
    gateway: Gateway, backend: Meter, limited: str
) -> None:
    for _ in range(3):
        backend.debit("alice", 3, key_id=limited)
    with pytest.raises(KeyLimitReached) as told:
        backend.debit("alice", 2, key_id=limited)
    assert told.value.limit_remaining == 1
    assert told.value.resets_at is not None
    backend.debit("alice", 1, key_id=limited)
    backend.debit("alice", 90)
    assert _figures(gateway) == {"used_today": 10, "used_total": 10, "limit_remaining": 0}


def test_a_lease_serves_the_last_unit_of_the_limit(
    gateway: Gateway, lease: Lease, clock: Clock
) -> None:
    """And from the next day on as many again."""
    for _ in range(10):
        lease.debit()
    with pytest.raises(KeyLimitReached) as told:
        lease.debit()
    assert told.value.limit_remaining == 0
    lease.tend()
    clock.advance(days=1)
    lease.debit()
    lease.close()
    assert _figures(gateway) == {"used_today": 1, "used_total": 11, "limit_remaining": 9}


def test_what_a_lease_gives_back_is_left_of_the_limit(
    gateway: Gateway, lease: Lease, clock: Clock
) -> None:
    """After a while without a call, and at its end."""
    for _ in range(6):
        lease.debit()
    assert _figures(gateway)["limit_remaining"] < 5
    clock.advance(seconds=11)
    lease.tend()
    assert _figures(gateway) == {"used_today": 6, "used_total": 6, "limit_remaining": 4}


def test_a_limit_is_no_exhausted_quota_and_the_other_way_round(
    gateway: Gateway, backend: Meter, lease: Lease
) -> None:
    backend.debit("alice", 95)
    for _ in range(5):
        lease.debit()
    with pytest.raises(QuotaExhausted):
        lease.debit()
    assert gateway.quota().used == 95 + lease.tally.captured


def test_a_revoked_keys_lease_spends_what_it_holds_and_no_more(
    gateway: Gateway, lease: Lease, limited: str
) -> None:
    """What was served with it stays used, of the account and of the sum of its keys."""
    lease.debit()
    gateway.revoke("alice", limited)
    while lease.left:
        lease.debit()
    with pytest.raises(InvalidKey):
        lease.debit()
    spent = lease.tally.spent
    lease.close()
    assert (gateway.quota().used, gateway.quota().held) == (spent, 0)


def test_four_workers_of_one_key_serve_its_limit_before_the_first_refusal(
    gateway: Gateway, backend: Meter, seconds: Seconds, clock: Clock
) -> None:
    gateway.fund("alice", 100)
    key_id = gateway.key("alice", {"units": 40, "per": "total"})
    crowd = Crowd(backend, seconds, clock, 4, key_id)
    assert crowd.served(evenly(4, 0.5)) == 40
    crowd.close()
    assert _figures(gateway)["used_total"] == 40


def test_an_awaited_lease_serves_the_last_unit_of_the_limit(
    gateway: Gateway, async_backend: AsyncMeter, seconds: Seconds, limited: str
) -> None:
    async def story() -> None:
        async with AsyncLease(async_backend, "alice", limited, clock=seconds) as lease:
            for _ in range(10):
                await lease.debit()
            with pytest.raises(KeyLimitReached):
                await lease.debit()

    asyncio.run(story())
    assert _figures(gateway) == {"used_today": 10, "used_total": 10, "limit_remaining": 0}
