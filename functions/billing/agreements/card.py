"""Defines the saved card that automatic top-ups charge.

It also says how many attempts to charge one card are allowed, and in what
period.
"""

from dataclasses import dataclass
from typing import Any, Final

CARD_ATTEMPTS_MAX: Final = 15
CARD_SECONDS: Final = 30 * 24 * 3600
"""The period in which a card gets at most CARD_ATTEMPTS_MAX attempts. Visa
charges for more, and Stripe may block them:
https://support.stripe.com/questions/payment-blocked-due-to-excessive-retries.
"""


@dataclass(frozen=True, slots=True)
class Card:
    """A saved card as Stripe shows it.

    ``id`` is the id of the payment method at Stripe.
    """

    id: str = ""
    brand: str = ""
    last4: str = ""
    exp_month: int = 0
    exp_year: int = 0
    print: str = ""
    """Stripe's fingerprint of the card number: the same for each payment
    method with this number. "" if Stripe does not know it.
    """

    @property
    def counted_as(self) -> str:
        """Return the name under which attempts on this card are counted.

        It is the same if the customer saves the same card again.
        """
        return self.print or self.id

    def as_answer(self) -> dict[str, Any] | None:
        """Return the card as the API shows it, or None if no card is saved."""
        if not self.id:
            return None
        names = ("brand", "last4", "exp_month", "exp_year")
        return {name: getattr(self, name) for name in names}
