"""Declares, as a Protocol, the calls to Stripe that automatic charges need."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol


class Cards(Protocol):
    """Declares the calls to Stripe that an automatic charge needs.

    billing.stripe_api.cards.SavedCards implements them.
    """

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """Return a customer's saved cards."""

    def charge_card(
        self, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create and confirm a payment intent, and return it.

        Raises CardDeclinedError if the card was declined.
        """

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm a declined payment intent again, and return it."""

    def intent(self, intent: str) -> Mapping[str, Any]:
        """Return the payment intent with this id, as Stripe has it now."""

    def intents_of(
        self, customer: str, since: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a customer's payment intents created since an epoch second."""

    def is_of_mode(self, *, livemode: bool) -> bool:
        """Return whether Stripe's secret key is of this mode, live or test."""
