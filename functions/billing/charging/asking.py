"""Sends an automatic charge to Stripe, and reads the answer.

``charging/state_machine.py`` decides by the answer what to do next.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from billing.charging.answers import Refused, Unknown, Word
from billing.charging.charge import Charge
from billing.charging.lookup import UNKNOWN, Lookup, read_decline
from billing.errors import StripeRefusedError
from billing.payments.payment import Payment
from billing.stripe_api import intents
from billing.stripe_api.cards import CardDeclinedError
from billing.stripe_api.claims import metadata
from billing.stripe_api.outcomes import StripeNotFoundError

NO_KEY: Final = (401, 403)
"""The HTTP statuses if our secret key is at fault, not the card:
https://docs.stripe.com/api/errors.
"""


@dataclass(frozen=True, slots=True)
class Asker(Lookup):
    """Sends automatic charges to Stripe, and looks up their outcomes.

    ``stack`` is the stack's name, shown in Stripe's dashboard.
    """

    stack: str

    def send(self, payment: Payment, charge: Charge, now: int) -> Word:
        """Send the charge's current attempt to Stripe, and return the outcome.

        A repeat uses the same idempotency key. If the request gets no clear
        result, Stripe is asked at once what became of the charge.
        """
        if not self.cards.is_of_mode(livemode=self.ours.livemode):
            return Word(Unknown())
        try:
            found = self._known(payment, charge) or self._charge(
                payment, charge
            )
        except CardDeclinedError as declined:
            return read_decline(payment, declined.error, declined.intent, now)
        except StripeNotFoundError as error:
            return self._refused(charge, StripeRefusedError(error.refusal))
        except StripeRefusedError as error:
            return self._refused(charge, error)
        except UNKNOWN as error:
            return self.look(payment, charge, now, error)
        return self.read(payment, found, now)

    def _known(
        self, payment: Payment, charge: Charge
    ) -> Mapping[str, Any] | None:
        """Return the payment intent that an earlier attempt may have made.

        It is used again, so that the charge gets no second intent. Returns
        None if Stripe has no such intent. Returns None without asking Stripe
        for the first attempt, or if the charge has the intent's id already:
        ``_charge`` then uses that intent.
        """
        if not charge.attempt or charge.intent:
            return None
        return self.find(payment, charge)

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
