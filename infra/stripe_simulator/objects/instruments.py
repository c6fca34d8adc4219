"""Makes payment methods of test cards and of a bank account.

https://docs.stripe.com/api/payment_methods/object
"""

from typing import Final

from infra.stripe_simulator.ids import new_id
from infra.stripe_simulator.objects.cards import CARDS, SUCCEED, TestCard
from infra.stripe_simulator.objects.world import World
from infra.stripe_simulator.store import Thing

NOWHERE: Final = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))


def make_card(world: World, card: TestCard) -> Thing:
    """Make a payment method of a test card and return it."""
    checks: Thing = dict.fromkeys(("address_line1_check", "address_postal_code_check", "cvc_check"))
    if card.outcome == SUCCEED:
        checks["cvc_check"] = "pass"
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
