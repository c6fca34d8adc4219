"""Finds the card that a customer saved last at Stripe, and detaches saved cards."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from billing.agreements.card import Card
from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api.cards import SavedCards
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError


def newest_card(cards: SavedCards, customer: str) -> Card | None:
    """Return the card that was saved last, or None without one.

    None also if Stripe has no such customer.
    https://docs.stripe.com/api/payment_methods/object#payment_method_object-card
    """
    try:
        saved = cards.cards_of(customer)
    except StripeNotFoundError:
        return None
    except StripeServerError as error:
        raise _unavailable() from error
    newest = max(
        saved, key=lambda row: int(row.get("created") or 0), default=None
    )
    return _read_card(newest) if newest else None


def _read_card(method: Mapping[str, Any]) -> Card:
    shown = method["card"]
    return Card(
        id=str(method["id"]),
        brand=str(shown["brand"]),
        last4=str(shown["last4"]),
        exp_month=int(shown["exp_month"]),
        exp_year=int(shown["exp_year"]),
        print=str(shown.get("fingerprint") or ""),
    )


def forget_cards(cards: SavedCards, customer: str) -> None:
    """Detach all cards that the customer has saved at Stripe.

    A card that was already detached is no error.
    """
    for card in _saved(cards, customer):
        with suppress(StripeNotFoundError, StripeRefusedError):
            try:
                cards.forget_card(card)
            except StripeServerError as error:
                raise _unavailable() from error


def _saved(cards: SavedCards, customer: str) -> Iterator[str]:
    if not customer:
        return
    try:
        yield from [str(row["id"]) for row in cards.cards_of(customer)]
    except StripeNotFoundError:
        return
    except StripeServerError as error:
        raise _unavailable() from error


def _unavailable() -> BillingError:
    return BillingError(
        "stripe_unavailable",
        "Stripe has trouble at the moment; please try again.",
    )
