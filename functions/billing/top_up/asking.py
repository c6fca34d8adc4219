"""Asks Stripe about a charge, and translates the answer for the state machine in charge.py."""

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
"""How much older than its last attempt a charge's intent may be: all attempts, each unknown for as
long as it can be, and the difference of the clocks."""
NO_KEY: Final = (401, 403)
"""The key's fault, not the card's: https://docs.stripe.com/api/errors."""
UNKNOWN: Final = (StripeServerError, BillingError, RetryableError)
"""After these it is not known whether the request was carried out."""
AUTHENTICATE: Final = {"code": "authentication_required"}
"""The customer would have to act. We ask for an error instead, and never take it for success."""


class Cards(Protocol):
    """The calls of Stripe that this module makes. billing.stripe_api.cards.SavedCards has them."""

    def cards_of(self, customer: str) -> list[Mapping[str, Any]]:
        """Return a customer's saved cards."""

    def charge_card(
        self, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Create a payment intent and confirm it."""

    def charge_card_again(
        self, intent: str, params: Mapping[str, Any], idempotency_key: str
    ) -> Mapping[str, Any]:
        """Confirm a declined payment intent again."""

    def intent(self, intent: str) -> Mapping[str, Any]:
        """Return a payment intent."""

    def intents_of(
        self, customer: str, since: int
    ) -> Iterator[Mapping[str, Any]]:
        """Yield a customer's payment intents."""

    def is_of_mode(self, *, livemode: bool) -> bool:
        """Return whether the key belongs to this mode."""


@dataclass(frozen=True, slots=True)
class Word:
    """Stripe's answer about a charge, for the state machine, and the fact for the books."""

    answer: Answer
    fact: Fact | None = None
    error: Exception | None = None
    """Why it is unknown or refused, for the log."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks Stripe about the charges of one deployment. Stripe's dashboard shows ``stack``."""

    cards: Cards
    ours: Ours
    stack: str

    def send(self, payment: Payment, charge: Charge, now: int) -> Word:
        """Send the attempt's request under its key. If the outcome is unknown, look at once."""
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
        """Return the intent that an earlier attempt made after all.

        A second one is never created.
        """
        if not charge.attempt or charge.intent:
            return None
        return self._find(payment, charge)

    def _charge(self, payment: Payment, charge: Charge) -> Mapping[str, Any]:
        """Everything in here is fixed with the attempt: one key goes with one request.

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
        """Return the answer for a refused request. Nothing was charged.

        If the key is at fault, an operator must fix it, and the customer's card is not blamed.
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
        """Ask Stripe for the outcome of the attempt, without another attempt."""
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
        """Whether a decline may be that of an earlier attempt, while this one is under way."""
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
        """Read what an intent says. Only ``succeeded`` is money.

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
