"""When the leases of customers without units are let go."""

from collections.abc import Iterator

import pytest
from client.conftest import Seconds
from client.gateway import Gateway
from topup_client import Leases, Meter, QuotaExhausted, leases

SWEPT_FROM = 4


@pytest.fixture
def many(
    gateway: Gateway, backend: Meter, seconds: Seconds, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Leases]:
    """Leases that are swept from four on."""
    del gateway
    monkeypatch.setattr(leases, "SWEPT_FROM", SWEPT_FROM)
    with Leases(backend, clock=seconds, size=10, ahead_seconds=None) as made:
        yield made


def _refuse(many: Leases, *users: str) -> None:
    for user in users:
        with pytest.raises(QuotaExhausted):
            many.debit(user)


def _asked_again(gateway: Gateway, many: Leases, *users: str) -> list[str]:
    """Return those whose refusal is forgotten, so that the service is asked once more."""
    asked = []
    for user in users:
        before = gateway.service_calls
        _refuse(many, user)
        if gateway.service_calls > before:
            asked.append(user)
    return asked


def test_the_refusals_of_a_few_customers_are_remembered_between_sweeps(
    gateway: Gateway, many: Leases
) -> None:
    """After a sweep that left none there is place for as many as at first."""
    first, then = ["a", "b", "c", "d"], ["e", "f", "g"]
    _refuse(many, *first, *then)
    assert _asked_again(gateway, many, *then) == []
    assert _asked_again(gateway, many, "a") == ["a"]


def test_leases_are_swept_whenever_their_number_has_doubled(gateway: Gateway, many: Leases) -> None:
    """Four customers have units, and their leases stay."""
    for user in ("a", "b", "c", "d"):
        gateway.fund(user, 100)
        many.debit(user)
    strangers = ["e", "f", "g", "h"]
    _refuse(many, *strangers)
    assert _asked_again(gateway, many, *strangers) == []
    _refuse(many, "i")
    assert _asked_again(gateway, many, "e") == ["e"]
    before = gateway.service_calls
    many.debit("a")
    assert gateway.service_calls == before, "the lease has units, and was kept"
