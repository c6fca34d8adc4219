"""Lists Stripe's test cards, and the declines of each.

https://docs.stripe.com/testing
"""

from dataclasses import dataclass
from typing import Final, Literal

Authentication = Literal["never", "always", "unless_set_up", "on_session"]
"""When the bank asks the customer to authenticate.

``unless_set_up``: except off session with a card that is set up for it. ``on_session``: only while
the customer is present. https://docs.stripe.com/testing#three-ds-cards
"""
SUCCEED: Final = "succeed"
AUTHENTICATE: Final = "authenticate"
AUTHENTICATION_REQUIRED: Final = "authentication_required"
NOT_HANDLED: Final = "authentication_not_handled"
PROCESSING: Final = {"processing_then_succeed": "succeeded", "processing_then_fail": "failed"}
"""The final status of a charge that is ``processing`` first, by the name of its behaviour."""


@dataclass(frozen=True, slots=True)
class Decline:
    """The bank's reason for a decline.

    The attributes have the names of those of Stripe's error object. The object lacks an attribute
    that is "". https://docs.stripe.com/error-codes and https://docs.stripe.com/declines/codes
    """

    code: str
    decline_code: str
    message: str
    advice_code: str = ""
    network_decline_code: str = ""

    @property
    def reason(self) -> str:
        """Return a declined charge's ``outcome.reason``: the decline code, else the code."""
        return self.decline_code or self.code


LATER: Final = "try_again_later"
NEVER: Final = "do_not_try_again"
"""Advice codes: https://docs.stripe.com/declines/card#retrying-issuer-declines."""
_DECLINED: Final = "Your card was declined."
DECLINES: Final = {
    "generic_decline": Decline("card_declined", "generic_decline", _DECLINED, LATER, "01"),
    "insufficient_funds": Decline(
        "card_declined", "insufficient_funds", "Your card has insufficient funds.", LATER
    ),
    "lost_card": Decline("card_declined", "lost_card", _DECLINED, NEVER),
    "stolen_card": Decline("card_declined", "stolen_card", _DECLINED, NEVER),
    # The testing page has no decline code for the next three.
    "expired_card": Decline("expired_card", "", "Your card has expired."),
    "incorrect_cvc": Decline("incorrect_cvc", "", "Your card's security code is incorrect."),
    "processing_error": Decline(
        "processing_error",
        "",
        "An error occurred while processing your card. Try again in a little bit.",
        LATER,
    ),
    "card_velocity_exceeded": Decline(
        "card_declined",
        "card_velocity_exceeded",
        "Your card was declined for making repeated attempts too frequently or exceeding its"
        " amount limit.",
        LATER,
    ),
    # https://docs.stripe.com/error-codes#authentication-required
    AUTHENTICATION_REQUIRED: Decline(
        AUTHENTICATION_REQUIRED,
        AUTHENTICATION_REQUIRED,
        f"{_DECLINED} This transaction requires authentication.",
    ),
    # https://docs.stripe.com/payments/payment-intents/upgrade-to-handle-actions
    NOT_HANDLED: Decline(
        AUTHENTICATION_REQUIRED,
        NOT_HANDLED,
        "This payment required an authentication action to complete, but"
        " `error_on_requires_action` was set.",
    ),
}
BEHAVIOURS: Final = (
    SUCCEED,
    "insufficient_funds",
    "generic_decline",
    AUTHENTICATION_REQUIRED,
    "expired_card",
    "lost_card",
    *PROCESSING,
)
"""The outcomes that the control API can give the next off-session charges of a card."""


@dataclass(frozen=True, slots=True)
class TestCard:
    """One of Stripe's test cards, and how charges of it end.

    ``token`` is its id, for example ``pm_card_visa``. ``outcome`` is ``succeed``, or the reason of
    its declines, a key of DECLINES. ``attachable`` says whether the card can be saved to a
    customer, and ``authentication`` when the bank asks the customer to authenticate.
    """

    token: str
    number: str
    outcome: str = SUCCEED
    attachable: bool = True
    authentication: Authentication = "never"
    brand: str = "visa"
    funding: str = "credit"

    def verdict(self, *, off_session: bool, is_set_up: bool) -> str:
        """Return what an attempt to charge this card leads to.

        It is ``succeed``, a key of DECLINES, or ``authenticate`` if the customer must authenticate.
        ``is_set_up`` is true if the customer has agreed to off-session charges of the card.
        """
        must = {
            "never": False,
            "always": True,
            "unless_set_up": not (off_session and is_set_up),
            "on_session": not off_session,
        }
        return AUTHENTICATE if must[self.authentication] else self.outcome


def _refused(token: str, number: str, outcome: str) -> TestCard:
    """Return a test card whose charges are declined, and which no customer can save.

    ``outcome`` is the reason, a key of DECLINES. https://docs.stripe.com/testing#declined-payments
    """
    return TestCard(token, number, outcome, attachable=False)


_CARDS: Final = (
    TestCard("pm_card_visa", "4242424242424242"),
    TestCard("pm_card_visa_debit", "4000056655665556", funding="debit"),
    TestCard("pm_card_mastercard", "5555555555554444", brand="mastercard"),
    TestCard("pm_card_amex", "378282246310005", brand="amex"),
    _refused("pm_card_visa_chargeDeclined", "4000000000000002", "generic_decline"),
    _refused(
        "pm_card_visa_chargeDeclinedInsufficientFunds", "4000000000009995", "insufficient_funds"
    ),
    _refused("pm_card_visa_chargeDeclinedLostCard", "4000000000009987", "lost_card"),
    _refused("pm_card_visa_chargeDeclinedStolenCard", "4000000000009979", "stolen_card"),
    _refused("pm_card_chargeDeclinedExpiredCard", "4000000000000069", "expired_card"),
    _refused("pm_card_chargeDeclinedIncorrectCvc", "4000000000000127", "incorrect_cvc"),
    _refused("pm_card_chargeDeclinedProcessingError", "4000000000000119", "processing_error"),
    _refused(
        "pm_card_visa_chargeDeclinedVelocityLimitExceeded",
        "4000000000006975",
        "card_velocity_exceeded",
    ),
    TestCard("pm_card_chargeCustomerFail", "4000000000000341", "generic_decline"),
    TestCard(
        "pm_card_authenticationRequiredOnSetup",
        "4000002500003155",
        authentication="unless_set_up",
    ),
    TestCard("pm_card_authenticationRequired", "4000002760003184", authentication="always"),
    TestCard(
        "pm_card_authenticationRequiredSetupForOffSession",
        "4000003800000446",
        authentication="on_session",
    ),
    TestCard(
        "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds",
        "4000008260003178",
        "insufficient_funds",
        authentication="always",
    ),
)
CARDS: Final = {card.token: card for card in _CARDS}
NUMBERS: Final = {card.number: card for card in _CARDS}
"""The test cards by the number that a buyer types: https://docs.stripe.com/testing#cards."""


def find(text: str) -> TestCard | None:
    """Return the test card of this id or number, or None. Spaces in a number do not count."""
    return CARDS.get(text) or NUMBERS.get(text.replace(" ", ""))
