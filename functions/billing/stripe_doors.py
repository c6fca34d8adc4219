"""The door to Stripe's API, built where it is needed only: reading a quota must not pay for importing it."""

from functools import cache

from billing.gateway import Gateway
from billing.runtime import patience, settings
from billing.vault import stripe_key


@cache
def gateway() -> Gateway:
    """Stripe's API."""
    return Gateway(stripe_key, settings().stripe_api_base, patience())
