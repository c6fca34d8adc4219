"""Sends an automatic charge to Stripe, or asks Stripe for its outcome.

The result is an Answer for the state machine in charge.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from billing.errors import BillingError, RetryableError, StripeRefusedError
from billing.facts import DeclinedFact, Fact
from billing.payments.payment import Payment
from billing.settings import Ours
from billing.stripe_api import intents, objects
from billing.stripe_api.cards import CardDeclinedError
from billing.stripe_api.claims import Ignored, claims_in, metadata
from billing.stripe_api.outcomes import StripeNotFoundError, StripeServerError
from billing.top_up.charge import (
    KEY_SECONDS,
    Answer,
    Charge,
    Declined,
    NotMade,
    Processing,
    Refused,
    Succeeded,
    Unknown,
)
from billing.top_up.declines import verdict

SOURCE: Final = "top_up"
LIST_BACK_SECONDS: Final = 7 * 24 * 3600
"""How much older than its last attempt a charge's payment intent may be. That
covers all attempts, each with the longest unknown outcome, and the
difference of the clocks.
"""
NO_KEY: Final = (401, 403)
"""The HTTP statuses if our secret key is at fault, not the card:
https://docs.stripe.com/api/errors.
"""
UNKNOWN: Final = (StripeServerError, BillingError, RetryableError)
"""After these errors we do not know whether Stripe carried the request out."""
AUTHENTICATE: Final = {"code": "authentication_required"}
"""Stands for an intent that needs the customer to authenticate. We ask Stripe
for an error in that case, and never count it as success.
"""


class Cards(Protocol):
    """The calls of Stripe that this module makes.

    billing.stripe_api.cards.SavedCards implements them.
    """

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """Return a customer's saved cards."""

    def charge_card(
        self, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create and confirm a payment intent, and return it."""

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm a declined payment intent again, and return it."""

    def intent(self, intent: str) -> Mapping[str, Any]:
        """Return a payment intent."""

    def intents_of(
        self, customer: str, since: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a customer's payment intents created since an epoch second."""

    def is_of_mode(self, *, livemode: bool) -> bool:
        """Return whether Stripe's secret key is of this mode, live or test."""


@dataclass(frozen=True, slots=True)
class Word:
    """What Stripe says about an automatic charge.

    ``answer`` is for the state machine in charge.py. ``fact`` is what
    settlement must record (a parsed payment intent or decline), or None if
    there is nothing to record.
    """

    answer: Answer
    fact: Fact | None = None
    error: Exception | None = None
    """For the log: why the outcome is unknown or the request was refused."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks Stripe about the automatic charges of one deployment.

    ``stack`` is the stack's name, shown in Stripe's dashboard.
    """

    cards: Cards
    ours: Ours
    stack: str

    def send(self, payment: Payment, charge: Charge, now: int) -> Word:
        """Send the attempt's request to Stripe, and return the answer.

        A repeat uses the same idempotency key. If the outcome is unknown, it
        asks Stripe for it at once.
        """
        if not self.cards.is_of_mode(livemode=self.ours.livemode):
            return Word(Unknown())
        try:
            found = self._known(payment, charge) or self._charge(
                payment, charge
            )
        except CardDeclinedError as declined:
            return _declined(payment, declined.error, declined.intent, now)
        except StripeNotFoundError as error:
            return self._refused(charge, StripeRefusedError(error.refusal))
        except StripeRefusedError as error:
            return self._refused(charge, error)
        except UNKNOWN as error:
            return self.look(payment, charge, now, error)
        return self._read(payment, found, now)

    def _known(
        self, payment: Payment, charge: Charge
    ) -> Mapping[str, Any] | None:
        """Return the payment intent that an earlier attempt has made.

        Returns None if there is none, or if the charge has its id already.
        With the result, no second intent is created for this charge.
        """
        if not charge.attempt or charge.intent:
            return None
        return self._find(payment, charge)

    def _charge(self, payment: Payment, charge: Charge) -> Mapping[str, Any]:
        """Charge the card, and return the payment intent.

        All parameters are stored with the attempt, so a repeat with the same
        idempotency key sends the same request.
        https://docs.stripe.com/payments/save-during-payment#charge-saved-payment-method
        """
        away = {"off_session": True, "error_on_requires_action": True}
        if charge.intent:
            params = {"payment_method": charge.card, **away}
            return self.cards.charge_card_again(
                charge.intent, params, charge.key
            )
        told = metadata(self.stack, self.ours.deployment.id(), **payment.claims)
        params = {
            "amount": payment.amount_minor,
            "currency": payment.currency,
            "customer": charge.customer,
            "payment_method": charge.card,
            "allowed_payment_method_types": ["card"],
            "confirm": True,
            **away,
            "metadata": {**told, intents.AUTOMATIC: "true"},
        }
        return self.cards.charge_card(params, charge.key)

    def _refused(self, charge: Charge, error: StripeRefusedError) -> Word:
        """Return the answer for a request that Stripe refused.

        Nothing was charged. It is ``Refused`` with ``card_gone`` if the card
        is no longer saved, and with ``refused`` otherwise. If Stripe refused
        our secret key, it is ``Unknown``, because an operator must fix that,
        and the customer's card is not at fault.
        """
        if error.refusal.get("http_status") in NO_KEY:
            return Word(Unknown(), error=error)
        try:
            saved = {
                card["id"] for card in self.cards.cards_of(charge.customer)
            }
        except StripeNotFoundError:
            saved = set()
        except UNKNOWN:
            return Word(Refused("refused"), error=error)
        if charge.card not in saved:
            return Word(Refused("card_gone"))
        return Word(Refused("refused"), error=error)

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
            found = self._find(payment, charge)
        except StripeNotFoundError:
            found = None
        except UNKNOWN as error:
            return Word(Unknown(), error=why or error)
        if found is None:
            return Word(NotMade(), error=why)
        word = self._read(payment, found, now)
        if self._may_be_older(charge, word, now):
            return Word(Unknown(), error=why)
        return word

    def _may_be_older(self, charge: Charge, word: Word, now: int) -> bool:
        """Return whether a decline may be of an earlier attempt.

        That is possible if this attempt confirms the intent of an earlier one
        again, and its request may still be under way. ``word`` is what Stripe
        says about the intent.
        """
        is_young = now - charge.asked_at < KEY_SECONDS
        is_again = charge.attempt > 0 and charge.state == "asked"
        return isinstance(word.answer, Declined) and is_young and is_again

    def _find(
        self, payment: Payment, charge: Charge
    ) -> Mapping[str, Any] | None:
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

    def _read(
        self,
        payment: Payment,
        intent: Mapping[str, Any],
        now: int,
    ) -> Word:
        """Return the answer in a payment intent. Only ``succeeded`` is paid.

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
                return _declined(payment, AUTHENTICATE, name, now)
            case "requires_payment_method" if isinstance(error, Mapping):
                return _declined(payment, error, name, now)
            case _:
                return Word(NotMade(name))


def _declined(
    payment: Payment, error: Mapping[str, Any], intent: str, now: int
) -> Word:
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
