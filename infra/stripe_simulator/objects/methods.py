"""Makes payment methods, and saves them to customers.

https://docs.stripe.com/api/payment_methods
"""

from typing import Any, Final

from infra.stripe_simulator.errors import CardDeclined, StripeFault, missing
from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.cards import CARDS, DECLINES, SUCCEED, TestCard
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
NOWHERE: Final = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def make_card(world: World, card: TestCard) -> Thing:
    """Make a payment method of a test card and return it."""
    checks = {
        "address_line1_check": None,
        "address_postal_code_check": None,
        "cvc_check": "pass" if card.outcome == SUCCEED else None,
    }
    shown = {
        "brand": card.brand,
        "checks": checks,
        "country": "US",
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": f"SimulatedPrint{card.number[-4:]}",
        "funding": card.funding,
        "generated_from": None,
        "last4": card.number[-4:],
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": None,
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    made = world.store.put(_method(world, "card", shown))
    world.store.note(f"card:{made['id']}", card.token)
    return made


def make_bank(world: World) -> Thing:
    """Make a payment method of a US bank account and return it."""
    shown = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": "SimulatedPrint01",
        "last4": "6789",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": None,
    }
    return world.store.put(_method(world, "us_bank_account", shown))


def _method(world: World, kind: str, shown: Thing) -> Thing:
    details: Thing = {"address": dict(NOWHERE), "email": "buyer@example.com", "name": "Jenny Rosen"}
    return {
        "id": new_id("payment_method"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {**details, "phone": None, "tax_id": None},
        "created": world.store.now(),
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
        kind: shown,
    }


def card_of(world: World, method: Thing) -> TestCard:
    """Return the test card behind a payment method of type card."""
    return CARDS[world.store.note(f"card:{method['id']}")]


def find(world: World, name: str, status: int = 404, param: str = "id") -> Thing:
    """Return the payment method. A test card's id, such as pm_card_visa, makes a new one.

    https://docs.stripe.com/testing?testing-method=payment-methods
    """
    if card := CARDS.get(name):
        return make_card(world, card)
    if found := world.store.get("payment_method", name):
        return found
    raise missing("PaymentMethod", name, param, status)


def find_usable(world: World, name: str, customer: str | None) -> Thing:
    """Return the payment method of an attempt. Raises 400 where it cannot be used by ``customer``.

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
    if found["type"] == "card" and not (card := card_of(world, found)).attachable:
        raise CardDeclined(decline_error(card.outcome), is_effect=False)
    return keep(world, found, customer)


def keep(world: World, method: Thing, customer: str, **changes: Any) -> Thing:
    """Save the payment method to the customer, and say so."""
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
    """Take the method out of its customer's invoice settings."""
    owner = world.store.get("customer", method["customer"])
    if owner and owner["invoice_settings"]["default_payment_method"] == method["id"]:
        settings = {**owner["invoice_settings"], "default_payment_method": None}
        world.change(owner, invoice_settings=settings)


def use_up(world: World, method: Thing) -> None:
    """Remember that the method was used, or detached: without a customer it works only once."""
    world.store.note(f"used:{method['id']}", value=True)


def set_up(world: World, method: Thing) -> None:
    """Remember that the customer has agreed to off-session charges of the method."""
    world.store.note(f"set_up:{method['id']}", value=True)


def script(world: World, name: str, words: list[str]) -> Thing:
    """Set what the next off-session charges of the method become, one after another."""
    found = world.need("payment_method", name)
    world.store.note(f"behave:{found['id']}", words)
    return {"id": found["id"], "next": words}


def next_outcome(world: World, method: Thing, *, off_session: bool) -> str:
    """Return the outcome of the attempt that begins now: the script's next, or the card's own."""
    name = method["id"]
    words = world.store.note(f"behave:{name}") or []
    if off_session and words:
        world.store.note(f"behave:{name}", words[1:])
        return str(words[0])
    if method["type"] != "card":
        return SUCCEED
    is_set_up = bool(world.store.note(f"set_up:{name}"))
    return card_of(world, method).verdict(off_session=off_session, is_set_up=is_set_up)


def decline_error(word: str, **members: Any) -> Thing:
    """Return Stripe's error object for a decline. What it does not know is left out.

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
