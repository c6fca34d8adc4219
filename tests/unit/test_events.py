from collections.abc import Callable
from dataclasses import replace
from typing import Any

import builders
import pytest
from billing import observed
from billing.events import Ignored, parse
from billing.facts import SessionFact
from billing.payments import Payment
from billing.plans import catalogue
from builders import OURS, metadata

PAYMENT = replace(Payment.of(catalogue()["starter"], "pay_1", "alice", ""), session_id="cs_test_1")
MAKERS = [builders.completed, builders.declined, lambda payment: builders.refunded(payment, 5)]


@pytest.mark.parametrize("make", MAKERS)
def test_an_event_of_the_other_mode_is_ignored(make: Callable[[Payment], dict[str, Any]]) -> None:
    """Test money must not buy live units, whatever the object inside says."""
    assert parse({**make(PAYMENT), "livemode": True}, OURS) == Ignored("other_mode")


def test_a_session_of_the_other_mode_is_ignored() -> None:
    """Also where it comes from the API, without an event around it."""
    session = builders.session(PAYMENT, livemode=True)
    assert observed.session(session, "confirm", OURS) == Ignored("other_mode")


@pytest.mark.parametrize("make", MAKERS)
def test_an_event_of_a_connected_account_is_ignored(make: Callable[[Payment], dict[str, Any]]) -> None:
    """Its money is not ours."""
    assert parse({**make(PAYMENT), "account": "acct_other"}, OURS) == Ignored("other_account")


def test_another_stacks_session_is_ignored() -> None:
    """Two stacks may share one Stripe account."""
    claimed = {**metadata(PAYMENT), "stack": "somebody-else"}
    assert parse(builders.completed(PAYMENT, metadata=claimed), OURS) == Ignored("not_ours")


@pytest.mark.parametrize("mode", ["subscription", "setup"])
def test_a_session_that_is_no_single_payment_is_ignored(mode: str) -> None:
    """Other products of the same Stripe account."""
    assert parse(builders.completed(PAYMENT, mode=mode), OURS) == Ignored("not_ours")


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({}, "paid"),
        ({"payment_status": "no_payment_required"}, "paid"),
        ({"payment_status": "unpaid"}, "unpaid"),
        ({"payment_status": "unpaid", "payment_intent": {"id": "pi_1", "status": "requires_payment_method"}}, "async_failed"),
        ({"payment_status": "unpaid", "payment_intent": {"id": "pi_1", "status": "processing"}}, "unpaid"),
        ({"payment_status": "unpaid", "status": "expired", "payment_intent": None}, "expired"),
    ],
)
def test_a_session_from_the_api_says_what_its_events_would(members: dict[str, Any], kind: str) -> None:
    """Confirm, recovery and reconciliation settle by the same facts."""
    found = observed.session(builders.session(PAYMENT, **members), "confirm", OURS)
    assert isinstance(found, SessionFact)
    assert found.kind == kind
