"""Calls Stripe's API for saved cards: customers, their cards, and off-session charges."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import stripe

from billing.errors import StripeRefusedError
from billing.stripe_api import refusals
from billing.stripe_api.client import PAGE, Gateway

CARD_ERROR: Final = "card_error"
"""The type of an error that says why a card was declined: https://docs.stripe.com/api/errors."""
MODES: Final = {"live": True, "test": False}
"""Whether a secret key is of live mode, by the key's second part:
``sk_live_...`` or ``rk_test_...``.

https://docs.stripe.com/keys
"""


class CardDeclinedError(Exception):
    """The card was declined, and nothing was charged. ``error`` is Stripe's error object.

    It names the payment intent: https://docs.stripe.com/api/errors#errors-payment_intent.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        """``error`` is Stripe's error object. Only its code is in the message.

        The rest must not be logged, because it may hold personal data.
        """
        super().__init__(str(error.get("code")))
        self.error = error

    @property
    def intent(self) -> str:
        """Return the id of the payment intent, or "" if Stripe names none."""
        found = self.error.get("payment_intent")
        return str(found.get("id") or "") if isinstance(found, Mapping) else ""


class SavedCards:
    """Creates customers at Stripe, and lists, charges and forgets their cards.

    All requests go through one Gateway, the client for Stripe's API.
    """

    def __init__(self, gateway: Gateway) -> None:
        """Send every request through ``gateway``."""
        self._gateway = gateway

    def create_customer(
        self, metadata: Mapping[str, str], idempotency_key: str
    ) -> str:
        """Create a customer at Stripe, and return the customer's id.

        A repeated call with the same ``idempotency_key`` returns the customer
        that the first call made.
        https://docs.stripe.com/api/customers/create
        """
        params: Any = {"metadata": dict(metadata)}
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        made = self._gateway.ask(
            lambda client: client.v1.customers.create(params, options),
            personal=(metadata.get("user_id", ""),),
        )
        return str(made["id"])

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """Return a customer's saved cards, the newest first.

        Raises StripeNotFoundError for a customer that was deleted.
        https://docs.stripe.com/api/payment_methods/customer_list
        """
        params: Any = {"type": "card", "limit": PAGE}
        page = self._gateway.ask(
            lambda client: client.v1.customers.payment_methods.list(
                customer, params
            )
        )
        return list(page["data"])

    def forget_card(self, card: str) -> None:
        """Detach a card from its customer: it can never be charged again.

        https://docs.stripe.com/api/payment_methods/detach
        """
        self._gateway.ask(lambda client: client.v1.payment_methods.detach(card))

    def charge_card(
        self, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create and confirm a payment intent, and return it.

        A repeated call with the same ``idempotency_key`` returns the first
        call's intent and charges nothing more. Raises CardDeclinedError if the
        card was declined, and otherwise the errors of Gateway.ask.
        https://docs.stripe.com/api/payment_intents/create
        """
        sent: Any = dict(params)
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        metadata = sent.get("metadata", {})
        try:
            return self._gateway.ask(
                lambda client: client.v1.payment_intents.create(sent, options),
                personal=(metadata.get("user_id", ""),),
            )
        except StripeRefusedError as error:
            raise _meaning(error) from error

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm a declined payment intent again, and return it.

        A repeated call with the same ``idempotency_key`` returns the first
        call's result. Stripe never charges an intent that has already
        succeeded. Raises the same errors as charge_card.
        https://docs.stripe.com/api/payment_intents/confirm
        """
        sent: Any = dict(params)
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        try:
            return self._gateway.ask(
                lambda client: client.v1.payment_intents.confirm(
                    intent, sent, options
                )
            )
        except StripeRefusedError as error:
            raise _meaning(error) from error

    def intent(self, intent: str) -> Mapping[str, Any]:
        """Return a payment intent as it is now."""
        return self._gateway.payment_intent(intent)

    def intents_of(
        self, customer: str, since: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a customer's payment intents created since an epoch second, newest first.

        https://docs.stripe.com/api/payment_intents/list
        """
        after = ""
        while True:
            page = self._intents_page(customer, since, after)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    def _intents_page(
        self, customer: str, since: int, after: str
    ) -> Mapping[str, Any]:
        params: Any = {
            "customer": customer,
            "created": {"gte": since},
            "limit": PAGE,
        }
        if after:
            params["starting_after"] = after
        return self._gateway.ask(
            lambda client: client.v1.payment_intents.list(params)
        )

    def is_of_mode(self, *, livemode: bool) -> bool:
        """Return whether Stripe's secret key is of this mode, live or test.

        A key of the other mode finds none of this deployment's objects. A key
        whose text names no mode counts as right.
        """
        parts = self._gateway.key().split("_")
        mode = parts[1] if len(parts) > 1 else ""
        return MODES.get(mode, livemode) is livemode


def _meaning(error: StripeRefusedError) -> Exception:
    cause = error.__cause__
    found = (
        refusals.error_of(cause)
        if isinstance(cause, stripe.StripeError)
        else {}
    )
    return (
        CardDeclinedError(found) if found.get("type") == CARD_ERROR else error
    )
