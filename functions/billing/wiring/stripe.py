"""Creates the client of Stripe's API. Functions that do not call Stripe do not load it."""

from functools import cache

from billing.stripe_api.cards import SavedCards
from billing.stripe_api.client import Gateway
from billing.wiring.container import deadline, settings
from billing.wiring.secrets import stripe_key


@cache
def gateway() -> Gateway:
    """Return the client of Stripe's API."""
    return Gateway(stripe_key, settings().stripe_api_base, deadline())


def saved_cards() -> SavedCards:
    """Return the client of Stripe's API for saved cards."""
    return SavedCards(gateway())
