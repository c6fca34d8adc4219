"""Makes attempts to pay a payment intent: creates the charge, and sends Stripe's events in order.

https://docs.stripe.com/payments/paymentintents/lifecycle
"""

from typing import Any

from infra.stripe_simulator.objects import charges, methods, money
from infra.stripe_simulator.objects.cards import DECLINES
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing


def succeed(world: World, intent: Thing, method: Thing) -> Thing:
    """Charge the payment method, and return the intent, which has succeeded."""
    charge = charges.charge(world.store, intent, world.base_url, method, "succeeded")
    return complete(world, intent, add_to_balance(world, charge), method)


def decline(world: World, intent: Thing, method: Thing, word: str) -> Thing:
    """Make a failed charge of the payment method, and return Stripe's error object.

    ``word`` names the reason, a key of ``cards.DECLINES``. The error object contains the intent,
    whose status is now ``requires_payment_method``.
    """
    why = DECLINES[word]
    found = charges.charge(world.store, intent, world.base_url, method, "failed", decline=why)
    return fail(world, intent, world.store.put(found), method, word)


def submit(world: World, intent: Thing, method: Thing) -> Thing:
    """Begin a charge whose outcome comes later. Returns the intent, which is processing."""
    made = charges.charge(world.store, intent, world.base_url, method, "pending")
    charge = world.store.put(made)
    world.happened("charge.pending", charge)
    changes = {"latest_charge": charge["id"], "payment_method": method["id"]}
    intent = world.change(intent, status="processing", **changes)
    world.happened("payment_intent.processing", intent)
    _keep(world, intent, method)
    return intent


def settle(world: World, intent: Thing) -> Thing:
    """Let a processing charge succeed. Returns the intent."""
    charge = world.need("charge", intent["latest_charge"])
    url = f"{world.base_url}/receipts/{charge['id']}"
    paid = {"status": "succeeded", "paid": True, "captured": True, "receipt_url": url}
    method = world.need("payment_method", charge["payment_method"])
    return complete(world, intent, add_to_balance(world, {**charge, **paid}), method)


def settle_as_failed(world: World, intent: Thing, word: str = "") -> Thing:
    """Let a processing charge fail. Returns Stripe's error object with the intent in it.

    ``word`` is the reason of a card's decline, a key of DECLINES. It is "" for a bank debit, which
    fails for insufficient funds.
    """
    charge = world.need("charge", intent["latest_charge"])
    method = world.need("payment_method", charge["payment_method"])
    declined = {"network_status": "declined_by_network", "type": "issuer_declined"}
    message = "The customer's bank account could not be debited."
    failed = {"failure_code": "insufficient_funds", "failure_message": message}
    if word:
        declined = charges.outcome("failed", DECLINES[word])
        failed = {
            "failure_code": DECLINES[word].code,
            "failure_message": DECLINES[word].message,
        }
    outcome = {**charge["outcome"], **declined}
    charge = world.change(charge, status="failed", paid=False, outcome=outcome, **failed)
    return fail(world, intent, charge, method, word)


def add_to_balance(world: World, charge: Thing) -> Thing:
    """Add the charge to the seller's balance, less the fee, and return the charge.

    The fee is 2.9 % and 30 cents: https://stripe.com/pricing.
    """
    fee = charge["amount"] * 29 // 1000 + 30
    amount = charge["amount"]
    row = world.store.put(money.balance_row(world.store, charge, amount, "charge", fee))
    return world.change(charge, balance_transaction=row["id"], amount_captured=amount)


def complete(world: World, intent: Thing, charge: Thing, method: Thing) -> Thing:
    """Send the events that the charge and the intent have succeeded. Returns the intent.

    A card that was to be saved is attached between the two events. Stripe promises no order of
    events: https://docs.stripe.com/webhooks#event-ordering
    """
    world.happened("charge.succeeded", charge)
    _keep(world, intent, method)
    paid = {"status": "succeeded", "amount_received": intent["amount"], "last_payment_error": None}
    changes: Thing = {"next_action": None, "processing": None, "latest_charge": charge["id"]}
    intent = world.change(intent, **paid, **changes, payment_method=method["id"])
    world.happened("payment_intent.succeeded", intent)
    return intent


def _keep(world: World, intent: Thing, method: Thing) -> None:
    """Save the payment method to the intent's customer, if the seller asked for that.

    Otherwise the method is used up, because a method without a customer works only once.
    https://docs.stripe.com/payments/save-during-payment
    """
    method = world.need("payment_method", method["id"])
    if method["customer"]:
        return
    if not (intent["customer"] and intent["setup_future_usage"]):
        methods.use_up(world, method)
        return
    if intent["setup_future_usage"] == "off_session":
        methods.set_up(world, method)
    methods.keep(world, method, intent["customer"], allow_redisplay="limited")


def fail(world: World, intent: Thing, charge: Thing, method: Thing, word: str) -> Thing:
    """Set the intent of a failed charge to ``requires_payment_method``, and return Stripe's error.

    The returned error object contains the intent. ``word`` names the reason of a card's decline, a
    key of ``cards.DECLINES``, or is "" for a bank debit. Sends ``charge.failed`` and
    ``payment_intent.payment_failed``.
    """
    world.happened("charge.failed", charge)
    if not method["customer"]:
        methods.use_up(world, method)
    if word:
        error = methods.decline_error(word, charge=charge["id"], payment_method=method)
    else:
        error = _bank_error(charge, method)
    changes: dict[str, Any] = {"next_action": None, "processing": None, "payment_method": None}
    failed = world.change(
        intent,
        **changes,
        status="requires_payment_method",
        latest_charge=charge["id"],
        last_payment_error=error,
    )
    world.happened("payment_intent.payment_failed", failed)
    return {**error, "payment_intent": failed}


def _bank_error(charge: Thing, method: Thing) -> Thing:
    return {
        "charge": charge["id"],
        "code": "payment_intent_payment_attempt_failed",
        "message": charge["failure_message"],
        "payment_method": method,
        "type": "invalid_request_error",
    }
