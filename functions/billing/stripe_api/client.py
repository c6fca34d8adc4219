"""The door to Stripe's API: the only file that imports stripe.

Objects come in as plain dicts and leave as facts elsewhere.

Timeouts and attempts are set here; the API version is the one that the pinned package was made for.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import stripe

from billing import tracing
from billing.deadline import Deadline
from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api import refusals

if TYPE_CHECKING:  # it takes longer to import than the rest of this
    from stripe.params.checkout import SessionCreateParams

API_VERSION: Final = "2026-10-28.endive"
CONNECT_SECONDS: Final = 1
READ_SECONDS: Final = 5
PAGE: Final = 100
TO_A_BUYER: Final = ". Nothing was charged; please try again."
"""Behind what went wrong."""
_Object = TypeVar("_Object", bound=stripe.StripeObject)
_KEY_TROUBLE: Final = (stripe.AuthenticationError, stripe.PermissionError)


class StripeServerError(Exception):
    """Stripe answered 5xx.

    Under an idempotency key that answer is stored and would be replayed for a day.

    https://docs.stripe.com/api/idempotent_requests
    """


class StripeNotFoundError(Exception):
    """Stripe has no object of that id. ``refusal``: what Stripe said, as in StripeRefusedError."""

    def __init__(
        self, what: str = "no such object", refusal: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        """``what``: Stripe's words."""
        super().__init__(what)
        self.refusal = refusal


class Gateway:
    """One client per secret key.

    ``read_key(fresh)`` gives the key it remembers; one that Stripe refuses is read once more.
    """

    def __init__(self, read_key: Callable[[bool], str], api_base: str, deadline: Deadline) -> None:
        """``api_base`` is https://api.stripe.com, or a simulator."""
        self._read_key = read_key
        self._api_base = api_base
        self._patience = deadline
        self._key = ""
        self._client: stripe.StripeClient | None = None

    def create_session(
        self, params: "SessionCreateParams", idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create a Checkout Session, or find the one made before under the same key.

        Raises StripeServerError when the key must not be used again, StripeRefusedError when no
        repeat can help, and BillingError ``stripe_unavailable`` otherwise.
        """
        metadata: Any = params.get("metadata") or {}
        options: stripe.RequestOptions = {"idempotency_key": idempotency_key}
        try:
            return self._ask(
                lambda client: client.v1.checkout.sessions.create(params, options),
                personal=(metadata.get("user_id", ""),),
            )
        except StripeNotFoundError as error:
            raise StripeRefusedError(error.refusal) from error

    def expire_session(self, session_id: str) -> None:
        """Close an open session, so that nobody can pay it.

        Raises BillingError when it is paid or closed already.

        https://docs.stripe.com/api/checkout/sessions/expire
        """
        self._ask(lambda client: client.v1.checkout.sessions.expire(session_id))

    def session(self, session_id: str) -> Mapping[str, Any]:
        """A Checkout Session with its payment intent expanded."""
        return self._ask(
            lambda client: client.v1.checkout.sessions.retrieve(
                session_id, {"expand": ["payment_intent"]}
            )
        )

    def session_of_intent(self, payment_intent: str) -> Mapping[str, Any] | None:
        """The session that a payment intent belongs to, or None."""
        page = self._ask(
            lambda client: client.v1.checkout.sessions.list(
                {"payment_intent": payment_intent, "limit": 1}
            )
        )
        return page["data"][0] if page["data"] else None

    def payment_intent(self, payment_intent: str) -> Mapping[str, Any]:
        """A payment intent."""
        return self._ask(lambda client: client.v1.payment_intents.retrieve(payment_intent))

    def receipt_url(self, payment_intent: str) -> str | None:
        """The page on which Stripe shows the receipt (https://docs.stripe.com/api/charges/object#charge_object-receipt_url)."""
        intent = self._ask(
            lambda client: client.v1.payment_intents.retrieve(
                payment_intent, {"expand": ["latest_charge"]}
            )
        )
        charge = intent.get("latest_charge")
        return charge.get("receipt_url") if isinstance(charge, dict) else None

    def charge(self, charge: str) -> Mapping[str, Any]:
        """A charge."""
        return self._ask(lambda client: client.v1.charges.retrieve(charge))

    def event(self, event_id: str) -> Mapping[str, Any]:
        """An event, for an operator's replay. Stripe keeps them for 30 days."""
        return self._ask(lambda client: client.v1.events.retrieve(event_id))

    def sessions(self, since: int, after: str = "") -> Mapping[str, Any]:
        """One page of Checkout Sessions created since an epoch second, newest first."""
        params: Any = {
            "created": {"gte": since},
            "limit": PAGE,
            "expand": ["data.payment_intent"],
            **_after(after),
        }
        return self._ask(lambda client: client.v1.checkout.sessions.list(params))

    def refunds(self, since: int, after: str = "") -> Mapping[str, Any]:
        """One page of refunds created since an epoch second, newest first, with what their payment intents say."""
        params: Any = {
            "created": {"gte": since},
            "limit": PAGE,
            "expand": ["data.payment_intent"],
            **_after(after),
        }
        return self._ask(lambda client: client.v1.refunds.list(params))

    def refunds_of(self, payment_intent: str) -> Iterator[Mapping[str, Any]]:
        """All refunds of one payment intent."""
        after = ""
        while True:
            params: Any = {"payment_intent": payment_intent, "limit": PAGE, **_after(after)}
            page = self._ask(lambda client, params=params: client.v1.refunds.list(params))  # type: ignore[misc]
            yield from page["data"]
            if not page["has_more"]:
                return
            after = page["data"][-1]["id"]

    def disputes(self, since: int, after: str = "") -> Mapping[str, Any]:
        """One page of disputes created since an epoch second, newest first, with what their payment intents say."""
        params: Any = {
            "created": {"gte": since},
            "limit": PAGE,
            "expand": ["data.payment_intent"],
            **_after(after),
        }
        return self._ask(lambda client: client.v1.disputes.list(params))

    def disputes_of(self, payment_intent: str) -> list[Mapping[str, Any]]:
        """The disputes of one payment intent; more than a page of them cannot be."""
        page = self._ask(
            lambda client: client.v1.disputes.list(
                {"payment_intent": payment_intent, "limit": PAGE}
            )
        )
        return list(page["data"])

    def _ask(
        self, call: Callable[[stripe.StripeClient], _Object], personal: Sequence[str] = ()
    ) -> dict[str, Any]:
        """Stripe's answer. ``personal``: values in the request that must not stand in a log."""
        last: stripe.StripeError | None = None
        renewed = False
        for _ in self._patience.attempts():
            try:
                client = self._connected(fresh=isinstance(last, _KEY_TROUBLE))
                with tracing.call("Stripe"):
                    return _plain(call(client))
            except stripe.StripeError as error:
                last = error
                may_be_rolled = isinstance(error, _KEY_TROUBLE) and not renewed
                if not may_be_rolled and not refusals.passes(error):
                    raise _judged(error, personal) from error
                renewed = renewed or may_be_rolled
        raise _unavailable("Stripe did not answer in time") from last

    def _connected(self, *, fresh: bool) -> stripe.StripeClient:
        """A key that Stripe refuses is read once more: it may have been replaced (https://docs.stripe.com/keys#rolling-keys)."""
        key = self._read_key(fresh)
        if self._client is None or key != self._key:
            self._key = key
            self._client = stripe.StripeClient(
                key,
                stripe_version=API_VERSION,
                base_addresses={"api": self._api_base},
                # ours, within the request's deadline; the SDK never repeats a 429
                max_network_retries=0,
                http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, READ_SECONDS)),
            )
        return self._client


def _plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """The object as Stripe sent it: a StripeObject is not a dict, and goes no further."""
    response = answer.last_response
    assert response is not None, "every answer of the client carries its response"  # noqa: S101 - our own invariant
    data: dict[str, Any] = response.data  # type: ignore[assignment]
    return data


def _judged(error: stripe.StripeError, personal: Sequence[str]) -> Exception:
    """What an answer means that is not worth another try under the same key."""
    if refusals.is_missing(error):
        refusal = refusals.for_the_log(error, personal)
        return StripeNotFoundError(refusal["message"] or "no such object", refusal)
    is_kept = (
        error.http_status or 0
    ) >= refusals.SERVER_ERROR or error.http_status == refusals.DEPENDENCY
    if isinstance(error, stripe.IdempotencyError) or is_kept:
        return StripeServerError(f"{type(error).__name__} {error.http_status}")
    if refusals.is_final(error):
        return StripeRefusedError(refusals.for_the_log(error, personal))
    return _unavailable(
        f"Stripe's answer cannot be read ({type(error).__name__} {error.http_status})"
    )


def _unavailable(why: str) -> BillingError:
    return BillingError("stripe_unavailable", f"{why}{TO_A_BUYER}")


def _after(last_id: str) -> dict[str, str]:
    return {"starting_after": last_id} if last_id else {}
