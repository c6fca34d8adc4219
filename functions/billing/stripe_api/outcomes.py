"""Turns Stripe's answers into plain dicts, and its errors into exceptions."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import stripe

from billing.errors import BillingError, StripeRefusedError
from billing.stripe_api import refusals

TO_A_BUYER: Final = ". Nothing was charged; please try again."
"""The last sentence of each error message that a buyer sees."""


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
        """Keep Stripe's message (``what``) and its error object (``refusal``).

        Both have only what may be logged.
        """
        super().__init__(what)
        self.refusal = refusal


def plain(answer: stripe.StripeObject) -> dict[str, Any]:
    """Return Stripe's object as a plain dict, exactly as Stripe sent it.

    A StripeObject is not a dict, so the rest of our code never gets one.
    """
    response = answer.last_response
    assert response is not None, "each answer has its response"  # noqa: S101 - our own invariant
    data: dict[str, Any] = response.data  # type: ignore[assignment]
    return data


def meaning(error: stripe.StripeError, personal: Sequence[str]) -> Exception:
    """Return our exception for an error that we do not retry.

    It is StripeNotFoundError, StripeServerError, StripeRefusedError, or
    BillingError ``stripe_unavailable`` if the answer cannot be read.
    ``personal`` are values that must not be logged.
    """
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
    return unavailable(f"Stripe's answer cannot be read ({name})")


def unavailable(why: str) -> BillingError:
    """Return the error ``stripe_unavailable``, with a text for the buyer.

    The text is ``why``, and that nothing was charged.
    """
    return BillingError("stripe_unavailable", f"{why}{TO_A_BUYER}")
