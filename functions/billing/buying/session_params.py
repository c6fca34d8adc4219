"""What Stripe is asked for: the parameters of a payment's Checkout Session."""

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
    """The stack's settings for checkouts. Addresses never come from the caller."""

    site_url: str
    stack_name: str
    """Shown in Stripe's dashboard. Names are not unique."""
    deployment: str
    allow_promotion_codes: bool
    automatic_tax: bool
    invoice_creation: bool
    tax_behavior: TaxBehavior = "exclusive"
    """Whether prices include tax, where ``automatic_tax`` is on."""


def session_params(
    shop: Shop, payment: Payment, plan: Plan, customer: str = ""
) -> "SessionCreateParams":
    """Return Stripe's parameters for the Checkout Session of a payment.

    ``customer``: whose card is saved, "" to save none.
    The metadata goes on the payment intent too: Stripe does not copy it there.
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
    """The session's parameters that save the card to a customer, which the page tells the buyer.

    https://docs.stripe.com/payments/checkout/save-during-payment. Tax is computed for the address
    of the customer, so the one that is typed in must become it:
    https://docs.stripe.com/tax/checkout.
    """
    saving: dict[str, Any] = {"customer": customer}
    if shop.automatic_tax:
        saving["customer_update"] = {"address": "auto"}
    return saving


def _price(shop: Shop, payment: Payment, plan: Plan) -> dict[str, Any]:
    """Stripe's ``price_data``.

    With automatic tax, the tax behavior is required unless the account's tax settings have a
    default. The tax code is the account's preset one:
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
