"""Describes in OpenAPI how to buy: plans, checkout, webhook, payments."""

from billing.api.description.members import KEY, plan_id
from billing.api.description.operation import (
    REPEATS,
    STRIPES,
    Operation,
    in_path,
    link,
    listing,
    parameter,
    with_optional,
)
from billing.api.description.schema import TEXT, record
from billing.buying import queries


def of_buying() -> dict[str, dict[str, Operation]]:
    """Return the OpenAPI operations for buying units, by path and method.

    They list plans and payments, start a checkout, take Stripe's webhooks, and
    serve one payment.
    """
    plans = Operation("listPlans", "What is for sale", 200, "Plans")
    payments = listing("listPayments", "Own payments, newest first", "Payments")
    return {
        "/plans": {"get": plans},
        "/payments/checkout": {"post": _checkout()},
        "/payments/webhook": {"post": _webhook()},
        "/payments": {"get": payments},
        **_of_one_payment(),
    }


def _checkout() -> Operation:
    key = parameter("Idempotency-Key", "header", KEY, REPEATS)
    saves = {
        "type": "boolean",
        "description": "save the card, for automatic top-ups",
    }
    plan = with_optional(record(plan=plan_id()), remember_card=saves)
    followed_by = ("getPayment", "confirmPayment", "getReceipt")
    links = {name: link(name, "id", "payment_id") for name in followed_by}
    refused = (
        "invalid_plan",
        "invalid_request",
        "idempotency_conflict",
        *STRIPES,
    )
    return Operation(
        "createCheckout",
        "Buy a plan",
        201,
        "Checkout",
        "user",
        refused,
        plan,
        (key,),
        links,
    )


def _webhook() -> Operation:
    guide = "https://docs.stripe.com/webhooks#verify-manually"
    signature = parameter(
        "Stripe-Signature", "header", TEXT, guide, required=True
    )
    forged = ("invalid_signature", "invalid_payload", "outcome_unknown", "busy")
    body = {"type": "object"}
    return Operation(
        "receiveEvent",
        "For Stripe",
        200,
        "Settlement",
        "",
        forged,
        body,
        (signature,),
    )


def _of_one_payment() -> dict[str, dict[str, Operation]]:
    name = {"type": "string", "maxLength": queries.ID_CHARS_MAX}
    one = (in_path("id", name, "a payment's id, or its session's"),)
    get = Operation(
        "getPayment", "One payment", 200, "Payment", "user", (), None, one
    )
    confirm = Operation(
        "confirmPayment",
        "Ask Stripe and settle at once",
        200,
        "Payment",
        "user",
        STRIPES,
        None,
        one,
    )
    receipt = Operation(
        "getReceipt",
        "Where Stripe shows the receipt",
        200,
        "Receipt",
        "user",
        STRIPES,
        None,
        one,
    )
    return {
        "/payments/{id}": {"get": get},
        "/payments/{id}/confirm": {"post": confirm},
        "/payments/{id}/receipt": {"get": receipt},
    }
