"""The comparison with Stripe's typed objects finds what it is there to find."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
import stripe
from support import builders, payloads
from support.fakes.memory_store import MemoryStore
from support.payloads import PARTS
from support.typed import faults, lacking


@pytest.fixture
def charge() -> dict[str, Any]:
    """One that is right."""
    payment = builders.pending(builders.books_on(MemoryStore()))
    made = payloads.charge(
        payment,
        5,
        refunds=payloads.old_refunds(payment, 5),
        payment_intent=payloads.intent(payment),
    )
    assert [*faults(stripe.Charge, made), *lacking(stripe.Charge, made)] == []
    return made


WRONG: Final[dict[str, tuple[Mapping[str, Any], str]]] = {
    "a member that there is not": ({"refunded_minor": 5}, "refunded_minor is no member of Charge"),
    "a text for a number": ({"amount": "999"}, "amount is '999', not of int"),
    "a truth for a number": ({"amount": True}, "amount is True, not of int"),
    "a fraction for a number": ({"amount": 9.99}, "amount is 9.99, not of int"),
    "null where it is not permitted": ({"amount": None}, "amount is None, not of int"),
    "a word that is made up": (
        {"status": "settled"},
        "status is 'settled', not one of ('failed', 'pending', 'succeeded')",
    ),
    "a number for an id": ({"payment_intent": 1}, "payment_intent is 1, not of str"),
    "an expanded object of another kind": (
        {"payment_intent": {"object": "charge"}},
        "payment_intent.object is 'charge', not one of",
    ),
    "a fault in a part": (
        {"billing_details": {"address": {"town": "Berlin"}}},
        "billing_details.address.town is no member of",
    ),
    "a fault in a list": (
        {"refunds": {"object": "list", "data": [{"amount": "5"}]}},
        "refunds.data.0.amount is '5', not of int",
    ),
    "a number in metadata": ({"metadata": {"quota": 100}}, "metadata.quota is 100, not of str"),
}


@pytest.mark.parametrize(("members", "found"), WRONG.values(), ids=WRONG)
def test_what_stripe_would_not_send_is_found(
    charge: dict[str, Any], members: Mapping[str, Any], found: str
) -> None:
    """One fault, and where it is."""
    (fault,) = faults(stripe.Charge, {**charge, **members})
    assert fault.startswith(found)


def test_what_stripe_always_sends_is_missed(charge: dict[str, Any]) -> None:
    """In the object and in its parts; what may be null may be missing."""
    del charge["amount"], charge["description"]
    assert list(lacking(stripe.Charge, charge)) == ["amount"]
    session = payloads.session(
        builders.pending(builders.books_on(MemoryStore())), total_details={"amount_discount": 0}
    )
    assert list(lacking(stripe.checkout.Session, session)) == ["total_details.amount_tax"]


def test_every_kind_of_object_that_is_built_is_named_as_stripe_names_it() -> None:
    """So that an object finds its class."""
    assert {name: kind.OBJECT_NAME for name, kind in PARTS.items()} == {  # type: ignore[attr-defined]
        name: name for name in PARTS
    }
