from collections import Counter

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from support import laws
from topup_client import LeaseClosed, Leases, Meter, QuotaExhausted


def test_leases_serve_every_customer_from_their_own_quota(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """One keeper for all; closing captures all."""
    users = [f"user{number}" for number in range(30)]
    for user in users:
        gateway.fund(user, 50)
    served = Counter[str]()
    with Leases(backend, clock=seconds, size=20, ahead_seconds=None) as leases:
        for number in range(3000):
            user = users[number % 30]
            try:
                leases.debit(user)
                served[user] += 1
            except QuotaExhausted:
                pass
    laws.check(gateway.books.store)
    assert {user: gateway.quota(user).used for user in users} == served
    assert all(gateway.quota(user).held == 0 for user in users)
    assert sum(served.values()) >= 1200
    with pytest.raises(LeaseClosed):
        leases.debit("user1")


def test_customers_who_have_gone_are_forgotten(
    gateway: Gateway, backend: Meter, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with every customer there ever was, and who comes back is served."""
    monkeypatch.setattr("topup_client.leases.SWEPT_FROM", 4)
    leases = Leases(backend, clock=seconds)
    leases._sweep_at = 4
    for number in range(50):
        with pytest.raises(QuotaExhausted):
            leases.debit(f"stranger{number}")
    assert len(leases._leases) <= 5
    gateway.fund("stranger1", 3)
    leases.debit("stranger1", 3)
    leases.close()
    assert gateway.quota("stranger1").used == 3


def test_a_lease_swept_in_the_midst_of_a_call_is_replaced(
    gateway: Gateway, backend: Meter, seconds: Seconds
) -> None:
    """The call is served by the next one."""
    gateway.fund("alice", 10)
    with Leases(backend, clock=seconds) as leases:
        with pytest.raises(QuotaExhausted):
            leases.debit("alice", 11)
        leases._leases["alice", None].close()
        leases.debit("alice", 10)
    laws.check(gateway.books.store)
    assert gateway.quota().used == 10
