"""The stack in moto, made from template.yaml for every test, and a Stripe beside it."""

import time
from collections.abc import Iterator

import pytest
from billing.top_up import messages
from billing.wiring import container
from functional import top_ups
from functional.lab import CREDENTIALS, Lab, client, forget, wipe
from moto import mock_aws
from simulator.lab import KEY, Receiver
from simulator.lab import Lab as Stripe
from simulator.lab import lab as simulated
from support.deadlines import PausedDeadline
from support.xray_daemon import Sent, listening_daemon


@pytest.fixture(scope="package")
def stripe_side() -> Iterator[Stripe]:
    """The simulator on a loopback port. Its webhooks go nowhere: these tests deliver themselves."""
    with simulated(Receiver(url="http://127.0.0.1:9/")) as found:
        found.control("deliveries", drop=1)
        yield found


@pytest.fixture(scope="package")
def aws() -> Iterator[None]:
    """Moto instead of AWS, for this folder alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        for name in ("AWS_ENDPOINT_URL", "AWS_PROFILE"):
            patch.delenv(name, raising=False)
        patch.setattr(container, "Deadline", lambda: PausedDeadline(time.sleep))
        forget(clients=True)
        client.cache_clear()
        with mock_aws():
            yield
        forget(clients=True)
        client.cache_clear()


@pytest.fixture
def lab(aws: None, stripe_side: Stripe, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """An empty stack in a new container."""
    del aws
    wipe()
    forget()
    found = Lab(stripe_side.url)
    found.make(KEY)
    for name, value in found.template.environment().items():
        monkeypatch.setenv(name, value)
    yield found
    forget()


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sent]:
    """X-Ray's daemon beside the functions. Gives what was sent to it since the last call."""
    with listening_daemon(monkeypatch) as sent:
        yield sent


@pytest.fixture(autouse=True)
def _new_customer() -> None:
    """Of automatic top-ups: the simulator remembers those of other tests."""
    top_ups.begin()


@pytest.fixture
def offered(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The template's AutoTopUp is true."""
    monkeypatch.setenv("AUTO_TOP_UP", "true")
    messages._client.cache_clear()
    forget()
    return lab
