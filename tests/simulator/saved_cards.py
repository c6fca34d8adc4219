"""Customers with saved cards, and what is charged to them."""

from typing import Any, Final

import pytest
import stripe
from simulator.lab import Lab

CHARGE: Final[dict[str, Any]] = {
    "amount": 999,
    "currency": "usd",
    "confirm": True,
    "off_session": True,
    "error_on_requires_action": True,
    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
    "metadata": {"payment_id": "pay_1"},
}
"""What an automatic charge asks for, without the customer and the card."""


def remember(lab: Lab, card: str = "pm_card_visa") -> tuple[str, str]:
    """A customer who paid a session and let the seller keep the card: both ids."""
    customer = lab.client.v1.customers.create({"email": "alice@example.com"}).id
    session = lab.create(
        customer=customer,
        payment_intent_data={"setup_future_usage": "off_session", "metadata": {"payment_id": "p"}},
    )
    lab.control(f"sessions/{session.id}/pay", method="card", card=card)
    (method,) = lab.client.v1.payment_methods.list({"customer": customer, "type": "card"}).data
    return customer, method.id


def charge(lab: Lab, customer: str, method: str, key: str = "", **changes: Any) -> Any:
    """An off-session charge, by the official client."""
    params: Any = {**CHARGE, "customer": customer, "payment_method": method, **changes}
    options: Any = {"idempotency_key": key} if key else {}
    return lab.client.v1.payment_intents.create(params, options)


def decline(lab: Lab, customer: str, method: str, key: str = "", **changes: Any) -> dict[str, Any]:
    """One that is declined: Stripe's error object."""
    with pytest.raises(stripe.CardError) as refused:
        charge(lab, customer, method, key, **changes)
    assert refused.value.http_status == 402
    assert isinstance(refused.value.json_body, dict)
    found: dict[str, Any] = refused.value.json_body["error"]
    return found


def since(lab: Lab, before: list[str]) -> list[str]:
    """The types of the events that happened after these."""
    return lab.types()[len(before) :]
