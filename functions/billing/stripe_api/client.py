"""The client of Stripe's API: sends requests, with time-outs, retries and a fixed API version.

It returns Stripe's objects as plain dictionaries. The package stripe is imported here, in
refusals.py and in signatures.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import stripe

from billing import tracing
from billing.deadline import Deadline
from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api import refusals

if TYPE_CHECKING:  # it takes longer to import than the rest of this module
    from stripe.params.checkout import SessionCreateParams

API_VERSION: Final = "2026-10-28.endive"
"""The version that the pinned package was made for."""
CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 5
PAGE: Final = 100
TO_A_BUYER: Final = ". Nothing was charged; please try again."
"""The end of every detail that a buyer sees."""
_Object = TypeVar("_Object", bound=stripe.StripeObject)
_KEY_REFUSED: Final = (stripe.AuthenticationError, stripe.PermissionError)


class StripeServerError(Exception):
    """Stripe answered 5xx.

    Stripe keeps that answer under the idempotency key, and would replay it for a day.

    https://docs.stripe.com/api/idempotent_requests
    """


class StripeNotFoundError(Exception):
    """Stripe has no object with this id.

    ``refusal`` is Stripe's answer, as in StripeRefusedError.
    """

    def __init__(
        self,
        what: str = "no such object",
        refusal: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """``what`` is Stripe's message."""
        super().__init__(what)
        self.refusal = refusal


class Gateway:
    """Sends requests to Stripe. It makes one client for each secret key.

    ``read_key(fresh)`` returns the secret key. With ``fresh`` it must read the key again.
    """

    def __init__(
        self, read_key: Callable[[bool], str], api_base: str, deadline: Deadline
    ) -> None:
        """``api_base`` is https://api.stripe.com, or a simulator."""
        self._read_key = read_key
        self._api_base = api_base
        self._deadline = deadline
        self._key = ""
        self._client: stripe.StripeClient | None = None

    def key(self) -> str:
        """Return the secret key as it was last read."""
        return self._key or self._read_key(False)  # noqa: FBT003 - the reader's own protocol

    def create_session(
        self, params: "SessionCreateParams", idempotency_key: str
    ) -> Mapping[str, Any]:
        """Return a new Checkout Session, or the one that was made before under the same key.

        Raises StripeServerError if the key must not be used again, StripeRefusedError if Stripe
        refused for good, and BillingError ``stripe_unavailable`` otherwise.
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
        """Return the session that a payment intent belongs to, or None."""
        params: Any = {"payment_intent": payment_intent, "limit": 1}
        page = self.ask(lambda client: client.v1.checkout.sessions.list(params))
        return page["data"][0] if page["data"] else None

    def payment_intent(self, payment_intent: str) -> Mapping[str, Any]:
        """Return a payment intent."""
        return self.ask(
            lambda client: client.v1.payment_intents.retrieve(payment_intent)
        )

    def payment_intents(self, since: int, after: str = "") -> Mapping[str, Any]:
        """Return one page of payment intents created since an epoch second, newest first."""
        params: Any = {
            "created": {"gte": since},
            "limit": PAGE,
            **_after(after),
        }
        return self.ask(lambda client: client.v1.payment_intents.list(params))

    def purchase(self, funding_id: str) -> Mapping[str, Any]:
        """Return the session of this id, or the payment intent of an automatic charge."""
        if funding_id.startswith("pi_"):
            return self.payment_intent(funding_id)
        return self.session(funding_id)

    def receipt_url(self, payment_intent: str) -> str | None:
        """Return the address of Stripe's page with the receipt, or None.

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
        """Return a charge."""
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

    def ask(
        self,
        call: Callable[[stripe.StripeClient], _Object],
        personal: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Return Stripe's answer, retrying until the deadline what may pass by itself.

        A key that Stripe refuses is read again once: it may have been rolled
        (https://docs.stripe.com/keys#rolling-keys). ``personal``: values in the request that must
        not be logged.
        """
        last: stripe.StripeError | None = None
        key_is_stale = key_was_reread = False
        for _ in self._deadline.attempts():
            client = self._client_for(self._read_key(key_is_stale))
            key_was_reread = key_was_reread or key_is_stale
            try:
                with tracing.call("Stripe"):
                    return _plain(call(client))
            except stripe.StripeError as error:
                last = error
            key_is_stale = isinstance(last, _KEY_REFUSED) and not key_was_reread
            if not key_is_stale and not refusals.passes(last):
                raise _meaning(last, personal) from last
        raise _unavailable("Stripe did not answer in time") from last

    def _client_for(self, key: str) -> stripe.StripeClient:
        """Return the client for a key. It is made again when the key has changed."""
        if self._client is None or key != self._key:
            self._key = key
            self._client = stripe.StripeClient(
                key,
                stripe_version=API_VERSION,
                base_addresses={"api": self._api_base},
                # we retry ourselves, within the request's deadline; the SDK never repeats a 429
                max_network_retries=0,
                http_client=stripe.RequestsClient(
                    timeout=(CONNECT_SECONDS, READ_SECONDS)
                ),
            )
        return self._client


def _plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """Return the object as Stripe sent it. A StripeObject is not a dict, and goes no further."""
    response = answer.last_response
    assert response is not None, "each answer has its response"  # noqa: S101 - our own invariant
    data: dict[str, Any] = response.data  # type: ignore[assignment]
    return data


def _meaning(error: stripe.StripeError, personal: Sequence[str]) -> Exception:
    """Return what an error means that is not worth another try under the same key."""
    name = f"{type(error).__name__} {error.http_status}"
    if refusals.is_missing(error):
        refusal = refusals.for_the_log(error, personal)
        return StripeNotFoundError(
            refusal["message"] or "no such object", refusal
        )
    if refusals.is_kept(error):
        return StripeServerError(name)
    if refusals.is_final(error):
        return StripeRefusedError(refusals.for_the_log(error, personal))
    return _unavailable(f"Stripe's answer cannot be read ({name})")


def _unavailable(why: str) -> BillingError:
    return BillingError("stripe_unavailable", f"{why}{TO_A_BUYER}")


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
