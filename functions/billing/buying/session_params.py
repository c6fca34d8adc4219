"""Builds the parameters with which Stripe is asked for a Checkout Session."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from billing.payments.payment import Payment
from billing.payments.plan import Plan
from billing.settings import TaxBehavior
from billing.stripe_api.claims import metadata

if TYPE_CHECKING:  # its import takes longer than the rest of a checkout
    from stripe.params.checkout import SessionCreateParams


@dataclass(frozen=True, slots=True)
class Shop:
    """Holds the stack's settings for new Checkout Sessions.

    URLs come from these settings, never from the caller.
    """

    site_url: str
    stack_name: str
    """Shown in Stripe's dashboard. Several stacks may have the same name."""
    deployment: str
    allow_promotion_codes: bool
    automatic_tax: bool
    invoice_creation: bool
    tax_behavior: TaxBehavior = "exclusive"
    """Whether prices include tax. Used only with ``automatic_tax``."""


def session_params(
    shop: Shop, payment: Payment, plan: Plan, customer: str = ""
) -> "SessionCreateParams":
    """Return Stripe's parameters for the Checkout Session of a payment.

    ``customer`` is the customer at Stripe to whom the card is saved, or ""
    to save none. The payment intent gets the same metadata, because Stripe
    does not copy it from the session.
    https://docs.stripe.com/api/checkout/sessions/create
    """
    claims = metadata(shop.stack_name, shop.deployment, **payment.claims)
    params: dict[str, Any] = {
        "mode": "payment",
        "line_items": [
            {"price_data": _price(shop, payment, plan), "quantity": 1}
        ],
        "success_url": f"{shop.site_url}/?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": f"{shop.site_url}/?cancelled=1",
        "client_reference_id": payment.payment_id,
        "metadata": claims,
        "payment_intent_data": {"metadata": claims},
        "adaptive_pricing": {"enabled": False},
    }
    if shop.allow_promotion_codes:
        params["allow_promotion_codes"] = True
    if shop.automatic_tax:
        params["automatic_tax"] = {"enabled": True}
    if shop.invoice_creation:
        params["invoice_creation"] = {"enabled": True}
    if customer:
        params |= _saving(shop, customer)
        params["payment_intent_data"]["setup_future_usage"] = "off_session"
    return params  # type: ignore[return-value]


def _saving(shop: Shop, customer: str) -> dict[str, Any]:
    """Return the session's parameters that save the card to a customer.

    Stripe's page tells the buyer that the card is saved:
    https://docs.stripe.com/payments/checkout/save-during-payment. With
    automatic tax, Stripe computes tax for the customer's address, so the
    address that the buyer enters is stored on the customer:
    https://docs.stripe.com/tax/checkout.
    """
    saving: dict[str, Any] = {"customer": customer}
    if shop.automatic_tax:
        saving["customer_update"] = {"address": "auto"}
    return saving


def _price(shop: Shop, payment: Payment, plan: Plan) -> dict[str, Any]:
    """Return Stripe's parameter ``price_data`` for the plan.

    With automatic tax, Stripe requires a tax behavior unless the account's
    tax settings have a default. The tax code is the preset one of the
    account:
    https://docs.stripe.com/tax/products-prices-tax-codes-tax-behavior
    """
    price: dict[str, Any] = {
        "currency": payment.currency,
        "unit_amount": payment.amount_minor,
        "product_data": {"name": plan.name, "description": plan.description},
    }
    if shop.automatic_tax:
        price["tax_behavior"] = shop.tax_behavior
    return price
