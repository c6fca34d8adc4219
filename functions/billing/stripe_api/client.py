"""The client of Stripe's API: one method for each request.

It returns Stripe's objects as plain dictionaries.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import stripe

from billing.errors import StripeRefusedError
from billing.stripe_api.connection import Connection
from billing.stripe_api.outcomes import StripeNotFoundError

if TYPE_CHECKING:  # it takes longer to import than the rest of this module
    from stripe.params.checkout import SessionCreateParams

PAGE: Final = 100


class Gateway(Connection):
    """Sends requests to Stripe, one method for each."""

    def create_session(
        self, params: "SessionCreateParams", idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create a Checkout Session, and return it.

        A repeated call with the same ``idempotency_key`` returns the first
        call's session. Raises StripeServerError if that key must not be used
        again, StripeRefusedError if Stripe would refuse the same request
        again, and BillingError ``stripe_unavailable`` if Stripe did not answer
        in time.
        """
        metadata: Any = params.get("metadata") or {}
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        try:
            return self.ask(
                lambda client: client.v1.checkout.sessions.create(
                    params, options
                ),
                personal=(metadata.get("user_id", ""),),
            )
        except StripeNotFoundError as error:
            raise StripeRefusedError(error.refusal) from error

    def expire_session(self, session_id: str) -> None:
        """Expire an open session, so that it can no longer be paid.

        Raises BillingError if it is paid or expired already.
        https://docs.stripe.com/api/checkout/sessions/expire
        """
        self.ask(lambda client: client.v1.checkout.sessions.expire(session_id))

    def session(self, session_id: str) -> Mapping[str, Any]:
        """Return a Checkout Session with its payment intent expanded."""
        params: Any = {"expand": ["payment_intent"]}
        return self.ask(
            lambda client: client.v1.checkout.sessions.retrieve(
                session_id, params
            )
        )

    def session_of_intent(
        self, payment_intent: str
    ) -> Mapping[str, Any] | None:
        """Return the Checkout Session that a payment intent belongs to.

        Returns None if no session made the intent.
        """
        params: Any = {"payment_intent": payment_intent, "limit": 1}
        page = self.ask(lambda client: client.v1.checkout.sessions.list(params))
        return page["data"][0] if page["data"] else None

    def payment_intent(self, payment_intent: str) -> Mapping[str, Any]:
        """Return a payment intent."""
        return self.ask(
            lambda client: client.v1.payment_intents.retrieve(payment_intent)
        )

    def payment_intents(self, since: int, after: str = "") -> Mapping[str, Any]:
        """Return one page of payment intents, newest first.

        They were created at the epoch second ``since`` or later. ``after`` is
        the id of the last one on the page before. "" asks for the first page.
        """
        params: Any = {
            "created": {"gte": since},
            "limit": PAGE,
            **_after(after),
        }
        return self.ask(lambda client: client.v1.payment_intents.list(params))

    def purchase(self, funding_id: str) -> Mapping[str, Any]:
        """Return the Stripe object that pays for a purchase.

        It is the payment intent for an id ``pi_...`` (an automatic charge),
        and the Checkout Session for any other id.
        """
        if funding_id.startswith("pi_"):
            return self.payment_intent(funding_id)
        return self.session(funding_id)

    def receipt_url(self, payment_intent: str) -> str | None:
        """Return the address of Stripe's page with the receipt.

        Returns None if the payment intent has no charge yet.
        https://docs.stripe.com/api/charges/object#charge_object-receipt_url
        """
        expanded: Any = {"expand": ["latest_charge"]}
        intent = self.ask(
            lambda client: client.v1.payment_intents.retrieve(
                payment_intent, expanded
            )
        )
        charge = intent.get("latest_charge")
        return charge.get("receipt_url") if isinstance(charge, dict) else None

    def charge(self, charge: str) -> Mapping[str, Any]:
        """Return Stripe's charge with the id ``charge``."""
        return self.ask(lambda client: client.v1.charges.retrieve(charge))

    def event(self, event_id: str) -> Mapping[str, Any]:
        """Return an event, for an operator's replay. Stripe keeps them for 30 days."""
        return self.ask(lambda client: client.v1.events.retrieve(event_id))

    def sessions(self, since: int, after: str = "") -> Mapping[str, Any]:
        """Return one page of Checkout Sessions created since an epoch second, newest first."""
        params: Any = _page(since, after)
        return self.ask(lambda client: client.v1.checkout.sessions.list(params))

    def refunds(self, since: int, after: str = "") -> Mapping[str, Any]:
        """Return one page of refunds created since an epoch second, newest first.

        Their payment intents are expanded.
        """
        return self._refunds_page(_page(since, after))

    def _refunds_page(self, params: Any) -> Mapping[str, Any]:
        return self.ask(lambda client: client.v1.refunds.list(params))

    def refunds_of(self, payment_intent: str) -> Iterator[Mapping[str, Any]]:
        """Yield all refunds of one payment intent."""
        after = ""
        while True:
            params: Any = {
                "payment_intent": payment_intent,
                "limit": PAGE,
                **_after(after),
            }
            page = self._refunds_page(params)
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    def disputes(self, since: int, after: str = "") -> Mapping[str, Any]:
        """Return one page of disputes created since an epoch second, newest first.

        Their payment intents are expanded.
        """
        params: Any = _page(since, after)
        return self.ask(lambda client: client.v1.disputes.list(params))

    def disputes_of(self, payment_intent: str) -> list[Mapping[str, Any]]:
        """Return all disputes of one payment intent. They always fit on one page."""
        params: Any = {"payment_intent": payment_intent, "limit": PAGE}
        page = self.ask(lambda client: client.v1.disputes.list(params))
        return list(page["data"])


def _page(since: int, after: str) -> dict[str, Any]:
    created = {"gte": since}
    return {
        "created": created,
        "limit": PAGE,
        "expand": ["data.payment_intent"],
        **_after(after),
    }


def _after(last_id: str) -> dict[str, str]:
    return {"starting_after": last_id} if last_id else {}
