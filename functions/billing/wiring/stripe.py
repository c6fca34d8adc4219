"""The door to Stripe's API, built where it is needed only: reading a quota must not pay for importing it."""

from functools import cache

from billing.stripe_api.client import Gateway
from billing.wiring.container import deadline, settings
from billing.wiring.secrets import stripe_key


@cache
def gateway() -> Gateway:
    """Stripe's API."""
    return Gateway(stripe_key, settings().stripe_api_base, deadline())
