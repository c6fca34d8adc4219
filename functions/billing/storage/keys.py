"""Builds the keys of rows that belong to a user or to one of Stripe's objects."""

from typing import Final

REFERENCE: Final = "reference"
"""The range key of each row that leads from one of Stripe's ids to our
payment.
"""


TOP_UP: Final = "top_up"
"""The range key of a customer's agreement to automatic top-ups, in the
balance's partition.
"""


def user_key(user_id: str) -> str:
    """Return the partition key of a user's payments."""
    return f"user#{user_id}"


def reference_key(stripe_id: str) -> str:
    """Return the partition key of the row that leads to our payment.

    ``stripe_id`` is the id of a payment intent (``pi_...``) or of a charge
    (``ch_...``).
    """
    return f"ref#{stripe_id}"
