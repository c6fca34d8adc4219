"""Finds payment methods, saves them to customers, and decides how attempts with them end.

https://docs.stripe.com/api/payment_methods
"""

from typing import Any, Final

from infra.stripe_simulator.errors import CardDeclined, StripeFault, missing
from infra.stripe_simulator.objects import instruments
from infra.stripe_simulator.objects.cards import CARDS, DECLINES, SUCCEED
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

USED_UP: Final = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer"
    " attachment, shared with a connected account without Customer attachment, or was detached"
    " from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must"
    " attach it to a Customer first."
)
NOT_ATTACHABLE: Final = (
    "This PaymentMethod was previously used without being attached to a Customer or was detached"
    " from a Customer, and may not be used again."
)
TAKEN: Final = "The payment method you provided has already been attached to a customer."
NOT_ATTACHED: Final = (
    "The payment method you provided is not attached to a customer so detachment is impossible."
)


def find(world: World, name: str, status: int = 404, param: str = "id") -> Thing:
    """Return a payment method by its id. Raises ``status`` for an unknown one.

    A test card's id, for example ``pm_card_visa``, makes a new payment method.
    https://docs.stripe.com/testing?testing-method=payment-methods
    """
    if card := CARDS.get(name):
        return instruments.make_card(world, card)
    if found := world.store.get("payment_method", name):
        return found
    raise missing("PaymentMethod", name, param, status)


def find_usable(world: World, name: str, customer: str | None) -> Thing:
    """Return the payment method to charge, by its id.

    Raises 400 if it is unknown, can no longer be used, or belongs to another customer than
    ``customer``.
    https://docs.stripe.com/api/payment_intents/create#create_payment_intent-payment_method
    """
    found = find(world, name, 400, "payment_method")
    if world.store.note(f"used:{found['id']}"):
        raise StripeFault(400, USED_UP)
    owner = found["customer"]
    if owner and owner != customer:
        message = (
            f"The `payment_method` parameter supplied {name} belongs to the Customer {owner}."
            " Please include the Customer in the `customer` parameter on the PaymentIntent."
        )
        raise StripeFault(400, message, param="payment_method")
    return found


def attach(world: World, name: str, customer: str) -> Thing:
    """Save the payment method to the customer, and return it.

    https://docs.stripe.com/api/payment_methods/attach
    """
    world.need("customer", customer, "customer", 400)
    found = find(world, name)
    if found["customer"] == customer:
        return found
    if found["customer"]:
        raise StripeFault(400, TAKEN, began=True)
    if world.store.note(f"used:{found['id']}"):
        raise StripeFault(400, NOT_ATTACHABLE, began=True)
    if found["type"] == "card" and not (card := instruments.card_of(world, found)).attachable:
        raise CardDeclined(decline_error(card.outcome), is_effect=False)
    return keep(world, found, customer)


def keep(world: World, method: Thing, customer: str, **changes: Any) -> Thing:
    """Save the payment method to the customer, and return it. Sends ``payment_method.attached``.

    ``changes`` are further attributes of the method to set.
    """
    kept = world.change(method, customer=customer, **changes)
    world.happened("payment_method.attached", kept)
    return kept


def detach(world: World, name: str) -> Thing:
    """Remove the payment method from its customer for good, and return it.

    https://docs.stripe.com/api/payment_methods/detach
    """
    found = find(world, name)
    if not found["customer"]:
        raise StripeFault(400, NOT_ATTACHED, began=True)
    freed = world.change(found, customer=None)
    use_up(world, found)
    _forget_default(world, found)
    world.happened("payment_method.detached", freed, {"customer": found["customer"]})
    return freed


def _forget_default(world: World, method: Thing) -> None:
    """Remove the payment method from its customer's invoice settings, if it is the default."""
    owner = world.store.get("customer", method["customer"])
    if owner and owner["invoice_settings"]["default_payment_method"] == method["id"]:
        settings = {**owner["invoice_settings"], "default_payment_method": None}
        world.change(owner, invoice_settings=settings)


def use_up(world: World, method: Thing) -> None:
    """Record that the payment method cannot be used again.

    A method without a customer works only once, and a detached one never again.
    """
    world.store.note(f"used:{method['id']}", value=True)


def set_up(world: World, method: Thing) -> None:
    """Record that the customer has agreed to off-session charges of the method."""
    world.store.note(f"set_up:{method['id']}", value=True)


def script(world: World, name: str, words: list[str]) -> Thing:
    """Set how the next off-session charges of a payment method end, one after another.

    ``words`` are from ``cards.BEHAVIOURS``, for example ``insufficient_funds``. They replace those
    of an earlier call. Returns the method's id and the words.
    """
    found = world.need("payment_method", name)
    world.store.note(f"behave:{found['id']}", words)
    return {"id": found["id"], "next": words}


def next_outcome(world: World, method: Thing, *, off_session: bool) -> str:
    """Return how the attempt to charge this payment method ends.

    It is ``succeed``, ``authenticate``, or a key of ``cards.DECLINES`` or ``cards.PROCESSING``. Off
    session, this uses up the next outcome that a test has set with ``script``, if there is one.
    Otherwise the test card decides, and a bank account always succeeds.
    """
    name = method["id"]
    words = world.store.note(f"behave:{name}") or []
    if off_session and words:
        world.store.note(f"behave:{name}", words[1:])
        return str(words[0])
    if method["type"] != "card":
        return SUCCEED
    is_set_up = bool(world.store.note(f"set_up:{name}"))
    return instruments.card_of(world, method).verdict(off_session=off_session, is_set_up=is_set_up)


def decline_error(word: str, **members: Any) -> Thing:
    """Return Stripe's error object for a decline, with the further attributes ``members``.

    ``word`` is a key of DECLINES. Attributes without a value are left out.
    https://docs.stripe.com/api/errors
    """
    decline = DECLINES[word]
    error = {
        "advice_code": decline.advice_code,
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": f"https://stripe.com/docs/error-codes/{decline.code.replace('_', '-')}",
        "message": decline.message,
        "network_decline_code": decline.network_decline_code,
        "type": "card_error",
        **members,
    }
    return {name: value for name, value in error.items() if value}
