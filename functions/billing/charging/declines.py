"""Classifies declined charges, to decide whether the card is tried again.

The classes are ``soft`` (try again later), ``hard`` (do not try this card
again) and ``authentication`` (the bank wants the customer to take part).

These functions read no clock and make no outside call.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

Verdict = Literal["soft", "hard", "authentication"]
AUTHENTICATION: Final = frozenset(
    {
        "authentication_required",
        "authentication_not_handled",
        "payment_intent_authentication_failure",
    }
)
"""The bank requires that the customer authenticates, but an automatic charge
is made without the customer.

https://docs.stripe.com/payments/save-during-payment#charge-saved-payment-method,
https://docs.stripe.com/declines/codes (``authentication_required``) and, for the answers with
``error_on_requires_action``, https://docs.stripe.com/error-codes
"""
NOT_RETRIED_BY_STRIPE: Final = frozenset(
    {
        "highest_risk_level",
        "incorrect_number",
        "lost_card",
        "pickup_card",
        "revocation_of_all_authorizations",
        "revocation_of_authorization",
        "stolen_card",
        "transaction_not_allowed",
    }
)
"""Decline codes after which Stripe's own retries stop, as after
``authentication_required``.

https://docs.stripe.com/billing/revenue-recovery/smart-retries#non-retryable-decline-codes
"""
ANOTHER_CARD: Final = frozenset(
    {
        "account_closed",
        "card_not_supported",
        "currency_not_supported",
        "do_not_try_again",
        "expired_card",
        "fraudulent",
        "invalid_account",
        "merchant_blacklist",
        "new_account_information_available",
        "no_such_payment_method",
        "payment_method_not_available",
        "restricted_card",
        "security_violation",
        "service_not_allowed",
        "stop_payment_order",
        "testmode_decline",
    }
)
"""Codes for which Stripe says that the customer must use another card or
contact the bank.

https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes
"""
WRONG_DATA: Final = frozenset(
    {
        "incorrect_address",
        "incorrect_cvc",
        "incorrect_pin",
        "incorrect_zip",
        "invalid_cvc",
        "invalid_expiry_month",
        "invalid_expiry_year",
        "invalid_number",
        "invalid_pin",
        "offline_pin_required",
        "online_or_offline_pin_required",
        "pin_try_exceeded",
    }
)
"""The customer must enter something again, so the same request fails again.

https://docs.stripe.com/declines/codes and https://docs.stripe.com/error-codes
"""
HARD: Final = NOT_RETRIED_BY_STRIPE | ANOTHER_CARD | WRONG_DATA
"""Codes and decline codes after which the same card is not tried again."""
HARD_ADVICE: Final = frozenset({"do_not_try_again", "confirm_card_data"})
"""Advice codes of the card's issuer after which the card is not tried again.
Stripe's only other one is ``try_again_later``. It does not make a hard code
soft.

https://docs.stripe.com/declines/card#retrying-issuer-declines
"""


def verdict(error: Mapping[str, Any]) -> Verdict:
    """Return a decline's class: ``soft``, ``hard`` or ``authentication``.

    ``error`` is Stripe's error object. ``hard`` means that the same card
    is not tried again, and ``authentication`` that the bank wants the customer
    to take part. A soft decline is tried three times more, hours apart.
    Unknown codes are soft, because most declines are ``generic_decline``, and
    ``advice_code`` says if a retry is useless:
    https://docs.stripe.com/declines/card
    """
    codes = {error.get("code"), error.get("decline_code")}
    if codes & AUTHENTICATION:
        return "authentication"
    if codes & HARD or error.get("advice_code") in HARD_ADVICE:
        return "hard"
    return "soft"
