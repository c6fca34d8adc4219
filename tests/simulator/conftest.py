"""One simulator and one receiver per test."""

from collections.abc import Iterator

import pytest
from simulator.lab import Lab, Receiver, lab, receiving, stopping


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An endpoint for webhooks."""
    with receiving() as found:
        yield found


@pytest.fixture
def stripe_lab(receiver: Receiver) -> Iterator[Lab]:
    """A simulator that forgets everything afterwards."""
    with lab(receiver) as found:
        yield found


@pytest.fixture(scope="session")
def barren_lab(_all_stopped: None) -> Iterator[Lab]:
    """One for all tests in which nothing comes to be."""
    with lab(Receiver(url="http://127.0.0.1:9/")) as found:
        yield found


@pytest.fixture(scope="session")
def furnished_lab(_all_stopped: None) -> Iterator[Lab]:
    """One for all tests that only look at things: a paid session, refunded and disputed in part."""
    with lab(Receiver(url="http://127.0.0.1:9/")) as found:
        charge = found.pay().payment_intent.latest_charge.id
        found.client.v1.refunds.create({"charge": charge, "amount": 100})
        found.control(f"charges/{charge}/dispute", amount=200)
        yield found


@pytest.fixture(scope="session", autouse=True)
def _all_stopped() -> Iterator[None]:
    """No server outlives the tests."""
    yield
    for thread in stopping:
        thread.join(10)
        assert not thread.is_alive()
