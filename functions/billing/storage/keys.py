"""Builds the keys of rows that belong to a user or to one of Stripe's objects."""

from typing import Final

REFERENCE: Final = "reference"
"""The second part of the key of every row that leads from one of Stripe's ids."""


TOP_UP: Final = "top_up"
"""The second part of the key of a customer's agreement to automatic top-ups, beside the balance."""


def user_key(user_id: str) -> str:
    """Return the partition key of a user's payments."""
    return f"user#{user_id}"


def reference_key(stripe_id: str) -> str:
    """Return the partition key of the row from one of Stripe's ids to our payment.

    The id is of a payment intent (``pi_``) or of a charge (``ch_``).
    """
    return f"ref#{stripe_id}"
