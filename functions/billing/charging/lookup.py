"""Asks Stripe for the outcome of an automatic charge, without a new request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.charging.answers import (
    Declined,
    NotMade,
    Processing,
    Refused,
    Succeeded,
    Unknown,
    Word,
)
from billing.charging.cards import Cards
from billing.charging.charge import Charge
from billing.charging.declines import verdict
from billing.charging.state_machine import KEY_SECONDS
from billing.errors import BillingError, RetryableError
from billing.facts import DeclinedFact
from billing.payments.payment import Payment
from billing.settings import Ours
from billing.stripe_api import intents, objects
from billing.stripe_api.claims import Ignored, claims_in
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError

SOURCE: Final = "top_up"
LIST_BACK_SECONDS: Final = 7 * 24 * 3600
"""How much older than its last attempt a charge's payment intent may be. That
covers all attempts, each with the longest unknown outcome, and the
difference of the clocks.
"""
UNKNOWN: Final = (StripeServerError, BillingError, RetryableError)
"""After these errors we do not know whether Stripe carried the request out."""
AUTHENTICATE: Final = {"code": "authentication_required"}
"""Stands for an intent that needs the customer to authenticate. We ask Stripe
for an error in that case, and never count it as success.
"""


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks Stripe for the outcome of a deployment's automatic charges."""

    cards: Cards
    ours: Ours

    def look(
        self,
        payment: Payment,
        charge: Charge,
        now: int,
        why: Exception | None = None,
    ) -> Word:
        """Ask Stripe for the outcome of the last attempt, and return it.

        It starts no attempt. ``why`` is the error that made the outcome
        unknown.
        """
        try:
            found = self.find(payment, charge)
        except StripeNotFoundError:
            found = None
        except UNKNOWN as error:
            return Word(Unknown(), error=why or error)
        if found is None:
            return Word(NotMade(), error=why)
        word = self.read(payment, found, now)
        if self._may_be_older(charge, word, now):
            return Word(Unknown(), error=why)
        return word

    def _may_be_older(self, charge: Charge, word: Word, now: int) -> bool:
        """Return whether a decline may be the result of an earlier attempt.

        A new attempt confirms the same payment intent again. While its request
        may still be under way, the intent may show the decline before it.
        ``word`` is what the intent shows. Returns False if that is no decline.
        """
        is_young = now - charge.asked_at < KEY_SECONDS
        is_again = charge.attempt > 0 and charge.state == "asked"
        return isinstance(word.answer, Declined) and is_young and is_again

    def find(
        self, payment: Payment, charge: Charge
    ) -> Mapping[str, Any] | None:
        """Return the charge's payment intent, or None if Stripe has none."""
        if charge.intent:
            return self.cards.intent(charge.intent)
        since = charge.asked_at - LIST_BACK_SECONDS
        for intent in self.cards.intents_of(charge.customer, since):
            claims = claims_in(intent, self.ours)
            if isinstance(claims, Ignored) or not intents.is_automatic(intent):
                continue
            if claims["payment_id"] == payment.payment_id:
                return intent
        return None

    def read(
        self,
        payment: Payment,
        intent: Mapping[str, Any],
        now: int,
    ) -> Word:
        """Return the outcome of the charge, from its payment intent's status.

        Only ``succeeded`` counts as paid. A status without an outcome gives
        NotMade: nothing has been charged so far.
        https://docs.stripe.com/payments/paymentintents/lifecycle
        """
        name, error = str(intent["id"]), intent.get("last_payment_error")
        fact = objects.purchase(intent, SOURCE, self.ours)
        known = None if isinstance(fact, Ignored) else fact
        match intent.get("status"):
            case "succeeded":
                return Word(Succeeded(name), known)
            case "processing":
                return Word(Processing(name), known)
            case "canceled":
                return Word(Refused("refused"), known)
            case "requires_action":
                return read_decline(payment, AUTHENTICATE, name, now)
            case "requires_payment_method" if isinstance(error, Mapping):
                return read_decline(payment, error, name, now)
            case _:
                return Word(NotMade(name))


def read_decline(
    payment: Payment, error: Mapping[str, Any], intent: str, now: int
) -> Word:
    """Return what Stripe says of a declined attempt to charge a card.

    The result has the class of the decline, and the decline as a fact, which
    settlement records. ``error`` is Stripe's error object, and ``intent`` the
    id of the payment intent.
    """
    code = intents.failure_code(error)
    fact = DeclinedFact(
        fact_id=f"{SOURCE}:{payment.payment_id}:{now}",
        type=SOURCE,
        created=now,
        payment_id=payment.payment_id,
        user_id=payment.user_id,
        failure_code=code,
        needs_record=False,
    )
    return Word(Declined(verdict(error), intent), fact)
