"""Asks Stripe which purchase a refund or dispute belongs to."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from billing.books import Books
from billing.errors import Item
from billing.facts import DisputeFact, RefundsFact
from billing.storage.keys import user_key
from billing.stripe_api import intents, objects
from billing.stripe_api.claims import Ignored, claims_in
from billing.stripe_api.client import Gateway
from billing.stripe_api.outcomes import StripeNotFoundError


def intent_of(gateway: Gateway, fact: RefundsFact | DisputeFact) -> str:
    """Return the payment intent's id of a refund or dispute, or "".

    Stripe is asked for the charge if ``fact`` names only that. "" means that
    the payment is not ours: one from Checkout in payment mode always has a
    payment intent.
    """
    if fact.payment_intent or not fact.charge:
        return fact.payment_intent or ""
    return str(gateway.charge(fact.charge).get("payment_intent") or "")


def owner_of(books: Books, intent: Mapping[str, Any]) -> Item | Ignored:
    """Return the stored payment that an intent's metadata names.

    Returns {} if the intent is ours but its payment was lost, and Ignored
    if the intent is not ours.
    """
    claims = claims_in(intent, books.ours)
    if isinstance(claims, Ignored):
        return claims
    stored = books.store.get(
        "payments", (user_key(claims["user_id"]), claims["payment_id"])
    )
    if stored is None and claims["needs_record"]:
        return Ignored("not_ours")
    return stored or {}


def purchase_of(
    gateway: Gateway, stored: Item, paid_by: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return the purchase at Stripe that a payment intent paid.

    ``paid_by`` is the intent. The result is the intent itself for an automatic
    charge, and a Checkout Session otherwise. Returns None if Stripe has no
    session for the intent. The session id in ``stored``, our payment's row, is
    tried first, because Stripe finds a session by id at once. If the row has
    none or another session's, Stripe's list is searched.
    """
    if intents.is_automatic(paid_by):
        return paid_by
    intent = str(paid_by["id"])
    if stored.get("session_id"):
        with suppress(StripeNotFoundError):
            session = gateway.session(stored["session_id"])
            if objects.intent_of(session) == intent:
                return session
    return gateway.session_of_intent(intent)
