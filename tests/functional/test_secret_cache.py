"""What a container remembers of a secret, and for how long: by a clock that the tests set."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from billing.wiring import secrets
from functional.lab import Lab, Said
from simulator.lab import KEY
from simulator.lab import Lab as Stripe

UNKNOWN = json.dumps(
    {
        "id": "evt_1",
        "object": "event",
        "type": "customer.created",
        "livemode": False,
        "data": {"object": {}},
    }
).encode()
"""Genuine once signed, and not of interest: 200 ignored."""


class Clock:
    """What a container reads, for the age of what it knows and for its allowance."""

    def __init__(self) -> None:
        """Now."""
        self.seconds = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Stands still unless a test moves it."""
    clock = Clock()
    monkeypatch.setattr(secrets, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def reads(lab: Lab) -> Iterator[list[Any]]:
    """What was asked of Secrets Manager, one item a call."""
    del lab
    asked: list[Any] = []

    def note(**call: Any) -> None:
        asked.append(call["params"])

    events, name = (
        secrets._provider().client.meta.events,
        "before-call.secrets-manager.GetSecretValue",
    )
    events.register(name, note)
    yield asked
    events.unregister(name, note)


def _said(lab: Lab, secret: str = "") -> Said:
    return lab.webhook(UNKNOWN, lab.sign(UNKNOWN, secret=secret))


def _forged(lab: Lab, times: int) -> None:
    """Every one of them is refused, whatever was read."""
    for _ in range(times):
        said = _said(lab, "whsec_guessed")
        assert (said.status, said.code) == (400, "invalid_signature")


def test_a_secret_that_was_taken_out_counts_for_five_minutes_at_most(
    lab: Lab, clock: Clock
) -> None:
    """A container is not notified: it reads again when its copy is old."""
    lab.put_secrets(lab.secret, "whsec_new")
    assert _said(lab).status == 200
    lab.put_secrets("whsec_new")
    clock.seconds = secrets.SECRET_AGE_SECONDS_MAX - 1
    assert [_said(lab).status, _said(lab, "whsec_new").status] == [200, 200]
    clock.seconds = secrets.SECRET_AGE_SECONDS_MAX + 1
    assert _said(lab).code == "invalid_signature"
    assert _said(lab, "whsec_new").status == 200


def test_genuine_deliveries_read_the_secret_once_in_five_minutes(
    lab: Lab, clock: Clock, reads: list[Any]
) -> None:
    assert [_said(lab).status for _ in range(50)] == [200] * 50
    assert len(reads) == 1
    clock.seconds = secrets.SECRET_AGE_SECONDS_MAX + 1
    assert _said(lab).status == 200
    assert len(reads) == 2


def test_a_flood_of_forged_signatures_does_not_read_the_secret_each_time(
    lab: Lab, clock: Clock, reads: list[Any]
) -> None:
    """Each call costs money, and Secrets Manager throttles frequent callers: the genuine
    ones would wait.
    """
    _forged(lab, 100)
    assert len(reads) == 1 + secrets.REREADS_AT_ONCE
    clock.seconds = 60
    _forged(lab, 100)
    assert len(reads) == 1 + secrets.REREADS_AT_ONCE + 60 // secrets.REREAD_SECONDS


def test_a_new_key_of_stripes_is_used_within_five_minutes(
    lab: Lab, clock: Clock, reads: list[Any], stripe_side: Stripe
) -> None:
    """Also while Stripe still takes the old one: when that ends, no error shows it."""
    lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    stripe_side.control("keys", accept=[KEY, "sk_test_new"])
    lab.put_secret("StripeKeySecret", "sk_test_new")
    clock.seconds = secrets.SECRET_AGE_SECONDS_MAX + 1
    assert (
        lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"}).status == 201
    )
    assert len(reads) == 2
    stripe_side.control("keys", accept=["sk_test_new"])
    said = lab.call("POST", "/payments/checkout", sub="alice", body={"plan": "starter"})
    stripe_side.control("keys", accept=[KEY])
    assert (said.status, len(reads)) == (201, 2)


def test_a_few_forged_ones_before_a_roll_delay_nothing(lab: Lab, clock: Clock) -> None:
    """The first delivery with the new secret alone is accepted in the same second."""
    del clock
    _forged(lab, secrets.REREADS_AT_ONCE - 1)
    lab.put_secrets("whsec_new")
    assert _said(lab, "whsec_new").status == 200


def test_a_roll_in_the_midst_of_a_flood_is_seen_ten_seconds_later(lab: Lab, clock: Clock) -> None:
    """Until then what both secrets signed is accepted, as Stripe does it in a roll; the new one
    alone is delivered again by Stripe.
    """
    _forged(lab, 100)
    lab.put_secrets("whsec_new", lab.secret)
    old, new = lab.sign(UNKNOWN), lab.sign(UNKNOWN, secret="whsec_new")
    assert lab.webhook(UNKNOWN, f"{new},{old.split(',')[1]}").status == 200
    clock.seconds = secrets.REREAD_SECONDS
    _forged(lab, 1)
    assert _said(lab, "whsec_new").status == 200
