"""What our own metadata and the states of Stripe's objects say."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import pytest
from billing.facts import SessionFact
from billing.payments.payment import Payment
from billing.payments.plans import catalogue
from billing.stripe_api import disputes, intents, objects, sessions
from billing.stripe_api.claims import Ignored, claims_in, metadata
from support import builders
from support.builders import OURS

PAYMENT: Final = replace(
    Payment.of(catalogue()["starter"], "pay_7", "alice", ""),
    session_id="cs_test_7",
    expires_after_days=30,
)


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"status": "expired", "payment_status": "paid"}, "expired"),
        ({"status": "complete", "payment_status": "paid"}, "paid"),
        ({"status": "complete", "payment_status": "no_payment_required"}, "paid"),
        ({"status": "complete", "payment_status": "unpaid"}, "unpaid"),
        ({"status": "complete", "payment_status": "unpaid", "payment_intent": None}, "unpaid"),
        ({"status": "open", "payment_status": "paid"}, None),
        ({"status": "open", "payment_status": "unpaid"}, None),
        ({"status": None, "payment_status": "paid"}, None),
    ],
)
def test_what_became_of_a_session_follows_from_both_of_its_states(
    members: dict[str, Any], kind: str | None
) -> None:
    """An open one tells nothing yet."""
    found = objects.session(builders.session(PAYMENT, **members), "confirm", OURS)
    if kind is None:
        assert found == Ignored("still_open")
    else:
        assert isinstance(found, SessionFact)
        assert found.kind == kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("requires_payment_method", "async_failed"),
        ("canceled", "async_failed"),
        ("requires_action", "unpaid"),
        ("processing", "unpaid"),
        ("succeeded", "unpaid"),
    ],
)
def test_an_unpaid_session_has_failed_where_its_intent_has(status: str, kind: str) -> None:
    """https://docs.stripe.com/payments/paymentintents/lifecycle."""
    unpaid = builders.session(
        PAYMENT, payment_status="unpaid", payment_intent={"id": "pi_7", "status": status}
    )
    found = objects.session(unpaid, "confirm", OURS)
    assert isinstance(found, SessionFact)
    assert (found.kind, found.payment_intent) == (kind, "pi_7")


def test_our_metadata_is_read_as_it_was_written() -> None:
    """Strings alone, as Stripe keeps them."""
    claims: dict[str, str | int] = {"payment_id": "pay_7", "user_id": "alice", "plan": "starter"}
    written = metadata("shop", "dep_test", **claims, quota=100, expires_after_days=30)
    assert written == {
        "payment_id": "pay_7",
        "user_id": "alice",
        "plan": "starter",
        "quota": "100",
        "expires_after_days": "30",
        "stack": "shop",
        "deployment": "dep_test",
    }
    assert claims_in({"metadata": written}, OURS) == {
        **claims,
        "quota": 100,
        "expires_after_days": 30,
        "needs_record": False,
    }


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("1", 1),
        ("9" * 10, 9_999_999_999),
        *((text, 0) for text in ("9" * 11, "-1", "", "²", "\u0663", 30, None)),
    ],
)
def test_how_long_units_live_is_up_to_ten_digits_or_for_ever(text: object, days: int) -> None:
    written = {**builders.metadata(PAYMENT), "expires_after_days": text}
    found = claims_in({"metadata": written}, OURS)
    assert not isinstance(found, Ignored)
    assert found["expires_after_days"] == days


@pytest.mark.parametrize("name", [5, None, "dep_other", ""])
def test_only_our_deployments_id_makes_metadata_ours(name: object) -> None:
    """Without one our record must show it; one that we cannot have written is another's."""
    found = claims_in({"metadata": {**builders.metadata(PAYMENT), "deployment": name}}, OURS)
    if name is None:
        assert not isinstance(found, Ignored)
        assert found["needs_record"] is True
    else:
        assert found == Ignored("other_deployment")


@pytest.mark.parametrize(
    "read",
    [
        lambda: intents.intent_fact(builders.intent(PAYMENT), {}, OURS),
        lambda: sessions.session_fact(builders.session(PAYMENT), "paid", {}, OURS),
        lambda: disputes.dispute_fact(
            builders.dispute(PAYMENT, "created", "lost")["data"]["object"], {}, formal=True
        ),
    ],
)
def test_a_fault_of_ours_is_not_taken_for_an_object_that_cannot_be_read(
    read: Callable[[], Mapping[str, Any]],
) -> None:
    """It is answered 500, and Stripe tries again; the other is answered 200, for good."""
    with pytest.raises(TypeError):
        read()


@pytest.mark.parametrize(
    ("reason", "metric"),
    [("unreadable", "unreadable"), ("not_ours", "ignored"), ("other_mode", "ignored")],
)
def test_only_what_cannot_be_read_is_counted_as_such(reason: str, metric: str) -> None:
    assert Ignored(reason).metric == metric
