"""Makes payment intents without a Checkout Session, confirms and cancels them.

https://docs.stripe.com/api/payment_intents
"""

from typing import Any, Final

from infra.stripe_simulator.errors import CardDeclined, StripeFault
from infra.stripe_simulator.objects import attempts, cards, checkout, methods, settling
from infra.stripe_simulator.objects.world import World, merge_metadata
from infra.stripe_simulator.store import Thing

CONFIRMABLE: Final = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE: Final = (
    "requires_payment_method",
    "requires_capture",
    "requires_confirmation",
    "requires_action",
)
"""The statuses in which a payment intent can be canceled. Stripe sometimes cancels an intent that
is processing, this simulator never.

https://docs.stripe.com/api/payment_intents/cancel
"""
_UNEXPECTED: Final = "payment_intent_unexpected_state"


def create(world: World, asked: dict[str, Any]) -> Thing:
    """Make a payment intent, attempt it if ``confirm``, and return it. Raises 402 for a decline.

    https://docs.stripe.com/api/payment_intents/create
    """
    customer = asked.get("customer")
    if customer:
        world.need("customer", customer, "customer", 400)
    method = None
    if "payment_method" in asked:
        method = methods.find_usable(world, asked["payment_method"], customer)
    base = {
        "amount": asked["amount"],
        "currency": asked["currency"].lower(),
        "customer": customer,
        "payment_method_types": asked.get("allowed_payment_method_types", ["card"]),
        "automatic_payment_methods": _automatic(asked),
    }
    intent = world.store.put(checkout.payment_intent(world.store, base, asked))
    if method:
        changes = {"status": "requires_confirmation", "payment_method": method["id"]}
        intent = world.change(intent, **changes)
    world.happened("payment_intent.created", intent)
    return _attempt(world, intent, asked) if asked.get("confirm") else intent


def _automatic(asked: dict[str, Any]) -> Thing | None:
    """Return the intent's attribute ``automatic_payment_methods``.

    It is None if the request itself lists the allowed payment method types.
    """
    if "allowed_payment_method_types" in asked:
        return None
    chosen = asked.get("automatic_payment_methods", {})
    return {"allow_redirects": chosen.get("allow_redirects", "always"), "enabled": True}


def confirm(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Attempt the payment, and return the intent. Raises 402 for a decline.

    https://docs.stripe.com/api/payment_intents/confirm
    """
    intent = world.need("payment_intent", name)
    if intent["status"] not in CONFIRMABLE:
        message = (
            "You cannot confirm this PaymentIntent because it has already succeeded after being"
            " previously confirmed."
        )
        if intent["status"] != "succeeded":
            message = (
                "You cannot confirm this PaymentIntent because it has a status of"
                f" {intent['status']}. Only a PaymentIntent with one of the following statuses may"
                f" be confirmed: {', '.join(CONFIRMABLE)}."
            )
        raise _unexpected(message, intent)
    _refuse_of_session(world, intent, "confirm")
    if "payment_method" in asked:
        found = methods.find_usable(world, asked["payment_method"], intent["customer"])
        intent = world.change(intent, payment_method=found["id"])
    if usage := asked.get("setup_future_usage"):
        intent = world.change(intent, setup_future_usage=usage)
    return _attempt(world, intent, asked)


def _attempt(world: World, intent: Thing, asked: dict[str, Any]) -> Thing:
    if not intent["payment_method"]:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. Update"
            " the PaymentIntent with a payment method and then confirm it again."
        )
        raise _unexpected(message, intent)
    off_session = bool(asked.get("off_session"))
    method = methods.find_usable(world, intent["payment_method"], intent["customer"])
    word = methods.next_outcome(world, method, off_session=off_session)
    if word == cards.AUTHENTICATE:
        word = _answer_without_customer(asked, off_session=off_session)
    if word == cards.AUTHENTICATE:
        return _ask_customer(world, intent, asked)
    if word == cards.SUCCEED:
        return attempts.succeed(world, intent, method)
    if word in cards.PROCESSING:
        return settling.submit(world, intent, method, cards.PROCESSING[word])
    raise CardDeclined(attempts.decline(world, intent, method, word))


def _answer_without_customer(asked: dict[str, Any], *, off_session: bool) -> str:
    """Return the outcome of an attempt for which the bank asks the customer to authenticate.

    Off session it is the decline ``authentication_required``, whether or not
    ``error_on_requires_action`` is given:
    https://support.stripe.com/questions/manual-confirmation-for-off-session-payments-requiring-strong-customer-authentication-(sca).
    On session it is ``authenticate``, but with that parameter the decline
    ``authentication_not_handled``:
    https://docs.stripe.com/payments/payment-intents/upgrade-to-handle-actions
    """
    if off_session:
        return cards.AUTHENTICATION_REQUIRED
    return cards.NOT_HANDLED if asked.get("error_on_requires_action") else cards.AUTHENTICATE


def _ask_customer(world: World, intent: Thing, asked: dict[str, Any]) -> Thing:
    """Set the intent to ``requires_action``, so that it waits for the customer's authentication.

    Returns the intent. Nothing is charged.
    https://docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action
    """
    action: Thing = {
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {"type": "three_d_secure_redirect"},
    }
    if url := asked.get("return_url"):
        page = f"{world.base_url}/authenticate/{intent['id']}"
        redirect = {"return_url": url, "url": page}
        action = {"type": "redirect_to_url", "redirect_to_url": redirect}
    intent = world.change(intent, status="requires_action", next_action=action)
    world.happened("payment_intent.requires_action", intent)
    return intent


def cancel(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Cancel the intent, and return it. It cannot be charged from then on.

    https://docs.stripe.com/api/payment_intents/cancel
    """
    intent = world.need("payment_intent", name)
    if intent["status"] not in CANCELABLE:
        message = (
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}."
            " Only a PaymentIntent with one of the following statuses may be canceled:"
            " requires_payment_method, requires_capture, requires_confirmation, requires_action,"
            " processing."
        )
        raise _unexpected(message, intent)
    _refuse_of_session(world, intent, "cancel")
    changes: Thing = {
        "status": "canceled",
        "canceled_at": world.store.now(),
        "cancellation_reason": asked.get("cancellation_reason"),
        "next_action": None,
    }
    intent = world.change(intent, **changes)
    world.happened("payment_intent.canceled", intent)
    return intent


def update(world: World, name: str, asked: dict[str, Any]) -> Thing:
    """Change the intent's metadata, description or receipt email, and return it.

    Stripe sends no event for it. https://docs.stripe.com/api/payment_intents/update
    """
    intent = world.need("payment_intent", name)
    simulated = ("metadata", "description", "receipt_email")
    if others := [param for param in asked if param not in simulated]:
        message = f"This simulator changes {', '.join(simulated)} only, not {others[0]}."
        raise StripeFault(400, message, param=others[0])
    given = {key: asked[key] or None for key in simulated[1:] if key in asked}
    metadata = merge_metadata(intent["metadata"], asked.get("metadata", {}))
    return world.change(intent, **given, metadata=metadata)


def _refuse_of_session(world: World, intent: Thing, act: str) -> None:
    """Raise Stripe's 400 if the intent belongs to a Checkout Session.

    ``act`` is ``confirm`` or ``cancel``. The session must be expired instead.
    https://docs.stripe.com/api/payment_intents/cancel
    """
    if world.store.note(f"session_of:{intent['id']}"):
        message = (
            f"You cannot {act} this PaymentIntent because it was created by Checkout. Expire the"
            " Checkout Session instead."
        )
        raise StripeFault(400, message, began=True)


def _unexpected(message: str, intent: Thing) -> StripeFault:
    """Return Stripe's 400 for a step that the intent's status does not allow.

    https://docs.stripe.com/error-codes#payment-intent-unexpected-state
    """
    fault = StripeFault(400, message, code=_UNEXPECTED, began=True)
    return fault.showing(payment_intent=intent)
