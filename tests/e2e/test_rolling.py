"""Secrets are rolled while deliveries and purchases go on: nothing genuine is refused, nothing
forged is accepted.
"""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import ge
from typing import Any, Final

import pytest
from support.stand import Stand, signed

ROUNDS_MAX: Final = 2000
"""Of one thread: whatever happens, the traffic ends."""
SECONDS_MAX: Final = 120
Act = Callable[[int], None]


class Traffic:
    """Acts that go on in threads of their own, so that a test can wait for each to have been done
    some times more.
    """

    def __init__(self, *acts: Act) -> None:
        """Begins at once."""
        self.failures: list[BaseException] = []
        self._done = [0] * len(acts)
        self._moved = threading.Condition()
        self._over = False
        self._threads = [
            threading.Thread(target=self._go_on, args=(place, act))
            for place, act in enumerate(acts)
        ]
        for thread in self._threads:
            thread.start()

    def further(self, rounds: int) -> None:
        """Wait until every act has been begun and ended so many times from now on, or one has
        failed.
        """
        with self._moved:
            goals = [done + rounds + 1 for done in self._done]  # one is under way
            moved = self._moved.wait_for(
                lambda: bool(self.failures) or all(map(ge, self._done, goals)), SECONDS_MAX
            )
            assert moved, f"the traffic stands still: {self._done} of {goals}"

    def stop(self) -> None:
        """At the end of what is under way."""
        self._over = True
        for thread in self._threads:
            thread.join()

    def _go_on(self, place: int, act: Act) -> None:
        while not (self._over or self.failures) and self._done[place] < ROUNDS_MAX:
            try:
                act(self._done[place])
            except BaseException as failure:  # noqa: BLE001 - the test shows it
                self.failures.append(failure)
            with self._moved:
                self._done[place] += 1
                self._moved.notify_all()


@contextmanager
def going_on(*acts: Act) -> Iterator[Traffic]:
    """The acts, each in a thread. Raises the first failure of any."""
    traffic = Traffic(*acts)
    try:
        yield traffic
    finally:
        traffic.stop()
    for failure in traffic.failures:
        raise failure


def _put_webhook_secrets(stand: Stand, *values: str) -> None:
    """As an operator does, or ``topup connect --roll``."""
    name = stand.resources()["WebhookSecretsSecret"]
    stand.boto("secretsmanager").put_secret_value(
        SecretId=name, SecretString=json.dumps({"secrets": values})
    )


@pytest.fixture
def paid(stand: Stand) -> dict[str, dict[str, Any]]:
    """Purchases that Stripe says are paid, by their buyers; their deliveries are the test's to
    make.
    """
    found: dict[str, dict[str, Any]] = {}
    stand.control("deliveries", drop=1)
    for _ in range(6):
        buyer = f"roll-{uuid.uuid4().hex[:8]}"
        session = stand.buy(buyer)["session_id"]
        stand.pay(session)
        (found[buyer],) = stand.events("checkout.session.completed", session)
    stand.control("deliveries", drop=0)
    return found


@pytest.fixture
def secrets_of(stand: Stand) -> Iterator[tuple[str, str]]:
    """The stand's signing secret and the one that follows it; afterwards the stand has its own
    again.
    """
    old, new = stand.facts["webhook_secret"], f"whsec_{uuid.uuid4().hex}"
    yield old, new
    _put_webhook_secrets(stand, old)


def test_no_genuine_delivery_is_refused_while_the_signing_secret_is_rolled(
    stand: Stand, paid: dict[str, dict[str, Any]], secrets_of: tuple[str, str]
) -> None:
    """Signed with the old one, the new one, and both; a forged one never gets in, and in the end
    the old one does not either.
    """
    old, new = secrets_of
    events: list[dict[str, Any]] = list(paid.values())
    signers: list[tuple[str, ...]] = [(old,)]

    def deliver(number: int) -> None:
        said = stand.deliver(events[number % len(events)], *signers[number % len(signers)])
        assert said.status_code == 200, said.text
        assert said.json()["status"] in ("settled", "duplicate")

    def forge() -> None:
        said = stand.deliver(events[0], "whsec_guessed")
        assert (said.status_code, said.json()["code"]) == (400, "invalid_signature")

    with (
        going_on(*[deliver] * 4) as traffic
        # few forged ones, for a flood of them would delay the new secret:
        # tests/functional/test_secret_cache.py shows that
    ):
        forge()
        traffic.further(3)
        _put_webhook_secrets(stand, new, old)
        signers = [(old,), (new,), (new, old)]
        traffic.further(9)
        forge()
        signers = [(new,)]
        traffic.further(3)
        _put_webhook_secrets(stand, new)
        forge()
        traffic.further(6)
    assert [
        _ask_a_new_process(stand, events[0], secret) for secret in (old, new, "whsec_guessed")
    ] == [400, 200, 400]
    for buyer in paid:
        assert (stand.quota(buyer)["total"], stand.quota(buyer)["remaining"]) == (100, 100)


def _ask_a_new_process(stand: Stand, event: dict[str, Any], secret: str) -> int:
    """Deliver to a version of the function of its own, which remembers no secret.

    Returns the status.
    """
    function, name, text = (
        stand.boto("lambda"),
        stand.resources()["WebhookFunction"],
        json.dumps(event),
    )
    version = function.publish_version(FunctionName=name)["Version"]
    payload = json.dumps(
        {"version": "2.0", "headers": {"stripe-signature": signed(text, secret)}, "body": text}
    )
    try:
        said = json.loads(
            function.invoke(FunctionName=name, Qualifier=version, Payload=payload)["Payload"].read()
        )
    finally:
        function.delete_function(FunctionName=name, Qualifier=version)
    status: int = said["statusCode"]
    return status


@pytest.fixture
def keys_of(stand: Stand) -> Iterator[tuple[str, str]]:
    """Stripe's key of the stand and the one that follows it; afterwards the stand has its own
    again.
    """
    old, new = stand.facts["stripe_secret_key"], f"sk_test_{uuid.uuid4().hex}"
    yield old, new
    stand.control("keys", accept=[old])
    _put_stripe_key(stand, old)


def _put_stripe_key(stand: Stand, key: str) -> None:
    """As an operator does, or ``topup connect --new-key``."""
    stand.boto("secretsmanager").put_secret_value(
        SecretId=stand.resources()["StripeKeySecret"], SecretString=key
    )


def test_no_purchase_fails_while_stripes_key_is_rolled(
    stand: Stand, keys_of: tuple[str, str]
) -> None:
    """Stripe takes both keys for a while, then the new one alone; checkouts and confirms go on, in
    processes that know the old one.
    """
    old, new = keys_of
    bought: list[tuple[str, str]] = []

    def buy(number: int) -> None:
        buyer = f"key-{number}-{uuid.uuid4().hex[:8]}"
        payment = stand.buy(buyer)
        stand.control(f"sessions/{payment['session_id']}/pay", method="card")
        said = stand.call("POST", f"/payments/{payment['payment_id']}/confirm", sub=buyer)
        assert (said.status_code, said.json()["status"]) == (200, "completed"), said.text
        bought.append((buyer, payment["session_id"]))

    with going_on(buy, buy) as traffic:
        stand.control("keys", accept=[old, new])
        traffic.further(2)
        _put_stripe_key(stand, new)
        traffic.further(2)
        stand.control("keys", accept=[new])
        traffic.further(4)
    assert len(bought) >= 2 * (2 + 2 + 4)
    for buyer, session in bought:
        entries = stand.call("GET", "/quota/ledger", sub=buyer).json()["entries"]
        assert [(entry["reference_id"], entry["units"]) for entry in entries] == [(session, 100)]
